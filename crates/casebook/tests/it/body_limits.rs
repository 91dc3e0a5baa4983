//! body_limits
