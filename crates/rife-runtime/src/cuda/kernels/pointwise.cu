// What follows a convolution, in a pass of its own: LeakyReLU, of the sum with `residual` if any.

extern "C" __global__ void kernel(const __grid_constant__ Args a) {
    wait_for_kernel_before();
    let_next_kernel_start();
    long long n = (long long)a.batch * a.oh * a.ow * COUT / 2;
    for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < n; i += (long long)gridDim.x * blockDim.x) {
        elem* p = (elem*)a.dst + 2 * i;
        float u, v;
        load2(p, u, v);
        if (a.residual) {
            float r, s;
            load2((const elem*)a.residual + 2 * i, r, s);
            u += r;
            v += s;
        }
        store2(p, leaky(u), leaky(v));
    }
}
