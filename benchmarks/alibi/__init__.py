"""skaae.alibi beside alibi-detect."""
