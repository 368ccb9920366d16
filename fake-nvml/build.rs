//! The library stays loaded once it is: its clock goes on while its user shuts NVML down and
//! initialises it anew.

fn main() {
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
}
