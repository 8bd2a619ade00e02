// The interpolated frame, from both frames and the output of every block.

extern "C" __global__ void kernel(const __grid_constant__ Args a) {
    wait_for_kernel_before();
    let_next_kernel_start();
    int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y, item = blockIdx.z * a.step;
    if (x >= a.frame_w) return;
    float flow[4], mask, rgb[3];
    Corners last;
    estimate<LEVELS>(a, item, y, x, flow, mask, last);
    blend_pixel(a, a.items[item], y, x, flow, mask, rgb);
    store_rgb(a.items[item], y, x, rgb);
}
