"""The shared package of the course *Attention: From the Cocktail Party to FlashAttention*."""
