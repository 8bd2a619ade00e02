// Writes the items to the memory where the kernels of a graph read them.

extern "C" __global__ void kernel(const __grid_constant__ Items a) {
    wait_for_kernel_before();
    let_next_kernel_start();
    if (threadIdx.x < a.count) a.to[threadIdx.x] = a.item[threadIdx.x];
}
