// Converts an uploaded YUV frame to the pixels that the network reads, with zeros in the padding.

// Chroma at a pixel, relative to its zero, in samples. Exact.
__device__ __forceinline__ float chroma_at(const Yuv& a, long long plane, int y0, int y1, float v0, float v1, int x0, int x1, float h0, float h1) {
    long long above = plane + (long long)y0 * a.chroma_w, below = plane + (long long)y1 * a.chroma_w;
    float p = plus(mul(sample_of(a, above + x0), v0), mul(sample_of(a, below + x0), v1));
    float q = plus(mul(sample_of(a, above + x1), v0), mul(sample_of(a, below + x1), v1));
    return plus(mul(p - a.chroma_zero, h0), mul(q - a.chroma_zero, h1));
}

extern "C" __global__ void kernel(const __grid_constant__ Yuv a) {
    wait_for_kernel_before();
    let_next_kernel_start();
    int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y;
    if (x >= a.full_w) return;
    float rgb[3] = {0.0f, 0.0f, 0.0f};
    if (x < a.frame_w && y < a.frame_h) {
        long long luma_plane = (long long)a.frame_h * a.frame_w;
        float luma = mul(sample_of(a, (long long)y * a.frame_w + x) - a.luma_zero, a.per_luma);
        float u = 0.0f, v = 0.0f;
        if (a.chroma_w > 0) {
            int x0, x1, y0, y1;
            float h0, h1, v0, v1;
            tap(a.across, x, a.chroma_w, x0, x1, h0, h1);
            tap(a.down, y, a.chroma_h, y0, y1, v0, v1);
            long long plane = (long long)a.chroma_h * a.chroma_w;
            u = chroma_at(a, luma_plane, y0, y1, v0, v1, x0, x1, h0, h1);
            v = chroma_at(a, luma_plane + plane, y0, y1, v0, v1, x0, x1, h0, h1);
        }
#pragma unroll
        for (int c = 0; c < 3; c++) {
            float sum = plus(mul(a.to_rgb[c][0], u), mul(a.to_rgb[c][1], v));
            rgb[c] = fminf(fmaxf(plus(luma, sum), 0.0f), 1.0f);
        }
    }
    char* pixel = (char*)a.dst + ((long long)y * a.full_w + x) * PIXEL_BYTES;
#if PRODUCTS == PRODUCTS_F16
    u32 whole[3];
#pragma unroll
    for (int c = 0; c < 3; c++) whole[c] = __float2uint_rn(mul(rgb[c], 65535.0f));
    *(uint2*)pixel = make_uint2(whole[0] | whole[1] << 16, whole[2]);
#else
    *(float4*)pixel = make_float4(rgb[0], rgb[1], rgb[2], 0.0f);
#endif
}
