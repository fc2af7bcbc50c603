"""Many nearly equal prompts, asked of a local model for little more than the price of what differs.

- `plan`: the prompts of one request as blocks of shared prefix and one token tree behind them. No torch.
- `cache`: blocks of keys and values, least recently used first out, bounded in bytes.
- `attention`: one flat row of tokens through any transformers model that takes an attention function.
- `causal`: the engine: scores, and the probe that says whether a model can be run this way.
- `decode`: text from shared prefixes, the likeliest or drawn at random.
- `seq2seq`: encode once, score all candidates.

**The numbers of a request are a function of the request alone.** Not of the batch it came in, of what was asked before,
of what the cache holds, or of whether a run was resumed: bit for bit, in every number type. A cache would break that
when a prefix computed alone and a prefix computed as part of a longer prompt went through kernels of different shape.
So every prefix is cut at the same places, into blocks of `plan.BLOCK` tokens, and each block attends in a call of its
own, whose shape is given by its depth, wherever and whenever it is computed. The rest of a request attends in one call
whose shape the request decides. Matrix products, which do mix requests, treat rows alike whatever their number on the
processors we know; `causal.PrefixEngine` checks that on the model at hand, and where it does not hold runs every block
and every tree alone.

Rounding answers to fewer digits would not do instead: a value beside a rounding border falls either way however many
digits are dropped.
"""
