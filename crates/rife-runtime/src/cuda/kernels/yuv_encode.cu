// Converts planar F32 frames to YUV. A thread writes one sample of each chroma plane, and the luma
// of the pixels that share it.

// The weighted sum of red, green and blue.
__device__ __forceinline__ float weighted(const float (&rgb)[3], const float (&by)[3]) {
    return plus(plus(mul(rgb[0], by[0]), mul(rgb[1], by[1])), mul(rgb[2], by[2]));
}

__device__ __forceinline__ void load_rgb(const Yuv& a, const float* planes, int y, int x, float (&rgb)[3]) {
    long long n = (long long)a.frame_h * a.frame_w, at = (long long)y * a.frame_w + x;
#pragma unroll
    for (int c = 0; c < 3; c++) rgb[c] = planes[c * n + at];
}

// Rounds to the nearest sample; NaN becomes 0.
__device__ __forceinline__ void store(const Yuv& a, char* to, long long at, float v, float one, float zero) {
    u32 sample = __float2uint_rn(fminf(fmaxf(plus(mul(v, one), zero), 0.0f), a.most));
    if (a.wide) ((u16*)to)[at] = (u16)sample;
    else ((u8*)to)[at] = (u8)sample;
}

extern "C" __global__ void kernel(const __grid_constant__ Yuv a) {
    wait_for_kernel_before();
    let_next_kernel_start();
    int i = blockIdx.x * blockDim.x + threadIdx.x, j = blockIdx.y;
    int columns = a.across == SITING_EVERY ? 1 : 2, rows = a.down == SITING_EVERY ? 1 : 2;
    if (i * columns >= a.frame_w) return;
    const float* planes = (const float*)((const char*)a.src + blockIdx.z * a.src_step);
    char* to = (char*)a.dst + blockIdx.z * a.dst_step;
    for (int y = j * rows; y < min((j + 1) * rows, a.frame_h); y++) {
        for (int x = i * columns; x < min((i + 1) * columns, a.frame_w); x++) {
            float rgb[3];
            load_rgb(a, planes, y, x, rgb);
            store(a, to, (long long)y * a.frame_w + x, weighted(rgb, a.to_yuv[0]), a.luma_one, a.luma_zero);
        }
    }
    if (a.chroma_w == 0) return;
    int xs[5], ys[5];
    float across[5], down[5];
    int wide = taps(a.across, i, a.frame_w, xs, across), high = taps(a.down, j, a.frame_h, ys, down);
    float u = 0.0f, v = 0.0f;
#pragma unroll
    for (int r = 0; r < 5; r++) {
        if (r >= high) continue;
        float of_u = 0.0f, of_v = 0.0f;
#pragma unroll
        for (int c = 0; c < 5; c++) {
            if (c >= wide) continue;
            float rgb[3];
            load_rgb(a, planes, ys[r], xs[c], rgb);
            of_u = plus(of_u, mul(weighted(rgb, a.to_yuv[1]), across[c]));
            of_v = plus(of_v, mul(weighted(rgb, a.to_yuv[2]), across[c]));
        }
        u = plus(u, mul(of_u, down[r]));
        v = plus(v, mul(of_v, down[r]));
    }
    long long plane = (long long)a.chroma_h * a.chroma_w;
    long long at = (long long)a.frame_h * a.frame_w + (long long)j * a.chroma_w + i;
    store(a, to, at, u, a.chroma_one, a.chroma_zero);
    store(a, to, at + plane, v, a.chroma_one, a.chroma_zero);
}
