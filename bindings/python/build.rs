//! Linker arguments: an extension module leaves the symbols of Python undefined.

fn main() {
    pyo3_build_config::add_extension_module_link_args();
}
