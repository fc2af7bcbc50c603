"""What a stated attribute changes: FaiRLLM's sweep over the values of attributes, with its noise floor."""
