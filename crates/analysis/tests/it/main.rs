//! The detector through its public doors: uploads in, states and changes out.

mod project;

mod cases;
mod order;
mod quality;
mod resources;
