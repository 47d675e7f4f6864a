//! The binary `pixel`. Everything it does is in the library beside it.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    pixel_server::config::allocator::settle();
    pixel_server::cli::main()
}
