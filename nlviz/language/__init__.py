"""Words of an answer: which places of which frames a vision-language model weighs for each."""
