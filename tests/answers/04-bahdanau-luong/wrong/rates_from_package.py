"""Calls the package's links and error rate."""

FAILS = ["links-visible", "links-hidden"]
ENFORCED_BY = "grader"

# %% links
def common_links(there, back):
    from course_utils.alignment import hard_alignment

    return hard_alignment(there) & {(j, i) for i, j in hard_alignment(back)}


def error_rates(sentences):
    from course_utils.alignment import alignment_error_rate

    links, sure, possible = ({(n, *link) for n, s in enumerate(sentences) for link in s[k]} for k in range(3))
    precision = len(links & (sure | possible)) / len(links) if links else 1.0
    recall = len(links & sure) / len(sure) if sure else 1.0
    return precision, recall, alignment_error_rate(links, sure, sure | possible) if links | sure else 0.0
