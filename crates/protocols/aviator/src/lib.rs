//! Aviator TestDeck and FlakyBot.

pub mod webhook;
