"""What demo/train.py is made of: data, tokenizer, model, checkpoint, evaluation."""
