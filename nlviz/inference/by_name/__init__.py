"""Networks of timm, Hugging Face and torch.hub by name, as their own records describe them."""
