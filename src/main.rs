//! Maps an outcome to an exit code.

fn main() {}
