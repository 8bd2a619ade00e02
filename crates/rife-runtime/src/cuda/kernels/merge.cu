// The ensemble: every second item has the reversed pair, so its flows are exchanged and its mask
// negated. Both items get the mean, each in its own direction.

extern "C" __global__ void kernel(const __grid_constant__ Args a) {
    wait_for_kernel_before();
    let_next_kernel_start();
    int n = a.oh * a.ow, i = blockIdx.x * blockDim.x + threadIdx.x, pair = blockIdx.y;
    if (i >= n) return;
    long long p = (long long)2 * pair * n + i, q = p + n;
    float4 f = a.flow[p], g = a.flow[q];
    float m = 0.5f * (a.mask[p] - a.mask[q]);
    float4 mean = make_float4(0.5f * (f.x + g.z), 0.5f * (f.y + g.w), 0.5f * (f.z + g.x), 0.5f * (f.w + g.y));
    a.flow[p] = mean;
    a.flow[q] = make_float4(mean.z, mean.w, mean.x, mean.y);
    a.mask[p] = m;
    a.mask[q] = -m;
}
