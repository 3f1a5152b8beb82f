//! post_processor
