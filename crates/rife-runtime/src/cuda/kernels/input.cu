// Computes the input of a block as a tensor. If kernels are fused, `conv` computes it instead.

extern "C" __global__ void kernel(const __grid_constant__ Args a) {
    wait_for_kernel_before();
    let_next_kernel_start();
    int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y, item = blockIdx.z;
    if (x >= a.w) return;
    float v[CIN];
    block_input(a, a.items[item], item, y, x, v);
    elem* dst = (elem*)a.dst + (long long)item * a.h * a.w * CIN;
    long long pixel = (long long)y * a.w + x;
#pragma unroll
    for (int c = 0; c < CIN; c += 2) {
#if LAYOUT == LAYOUT_CHANNELS_LAST
        store2(dst + pixel * CIN + c, v[c], v[c + 1]);
#else
        dst[(long long)c * a.h * a.w + pixel] = to_elem(v[c]);
        dst[(long long)(c + 1) * a.h * a.w + pixel] = to_elem(v[c + 1]);
#endif
    }
}
