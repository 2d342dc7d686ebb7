"""The AC-GAN of the SPRINT paper and its two engines."""
