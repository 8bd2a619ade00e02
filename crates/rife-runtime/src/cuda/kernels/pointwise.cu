// LeakyReLU after an unfused convolution, adding `residual` first if there is one.

extern "C" __global__ void kernel(const __grid_constant__ Args a) {
    wait_for_kernel_before();
    let_next_kernel_start();
    long long n = (long long)a.batch * a.oh * a.ow * COUT / 2;
    for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < n; i += (long long)gridDim.x * blockDim.x) {
#if OUT_TERMS == 2
        // Rounding residuals follow the channels of a pixel, or the planes of an item.
        long long run = LAYOUT == LAYOUT_CHANNELS_LAST ? COUT : (long long)COUT * a.oh * a.ow;
        elem* p = (elem*)a.dst + 2 * i + 2 * i / run * run;
        float u, v, more, and_more;
        load2(p, u, v);
        load2(p + run, more, and_more);
        u = leaky(u + more);
        v = leaky(v + and_more);
        store2(p, u, v);
        store2(p + run, rounding_residual(u), rounding_residual(v));
#else
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
#endif
    }
}
