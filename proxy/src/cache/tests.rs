//! Behaviour of the cache over a scripted origin.
