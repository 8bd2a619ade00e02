// YUV frames: packed planes of Y, U and V. Results equal those of `frame/yuv` on the host bit for
// bit, so the operations and their order are the same, and no product is fused with a sum. The
// structure mirrors that of `abi.rs`.

struct Yuv {
    const void* src;
    void* dst;
    long long src_step;     // bytes from one frame of `src` to the next
    long long dst_step;     // bytes from one frame of `dst` to the next
    int full_h, full_w;     // of the padded frame
    int frame_h, frame_w;   // of the frame itself
    int chroma_h, chroma_w; // 0 if gray
    int across, down;       // SITING_* of chroma
    int wide;               // whether a sample has two bytes
    float luma_zero, luma_one, per_luma;
    float chroma_zero, chroma_one;
    float most;             // the largest sample
    float to_rgb[3][2];     // red, green and blue from U and V in samples
    float to_yuv[3][3];
};

// SITING: the position of chroma samples along an axis, see `axis.rs`.

__device__ __forceinline__ float mul(float a, float b) { return __fmul_rn(a, b); }
__device__ __forceinline__ float plus(float a, float b) { return __fadd_rn(a, b); }

__device__ __forceinline__ float sample_of(const Yuv& a, long long at) {
    return a.wide ? (float)((const u16*)a.src)[at] : (float)((const u8*)a.src)[at];
}

// The two of `n` chroma samples along an axis that are interpolated at luma sample `x`.
__device__ __forceinline__ void tap(int place, int x, int n, int& first, int& second, float& w0, float& w1) {
    int i = x >> 1;
    bool odd = x & 1;
    first = second = i;
    w0 = 1.0f;
    w1 = 0.0f;
    if (place == SITING_EVERY) {
        first = second = x;
    } else if (place == SITING_BETWEEN) {
        w0 = odd ? 0.75f : 0.25f;
        w1 = 1.0f - w0;
        if (odd) second = min(i + 1, n - 1);
        else first = max(i - 1, 0);
    } else if (odd == (place == SITING_EVEN)) {
        w0 = w1 = 0.5f;
        if (odd) second = min(i + 1, n - 1);
        else first = max(i - 1, 0);
    }
}

// The luma positions along an axis that chroma sample `i` of `n` is filtered from. Returns their
// number.
__device__ __forceinline__ int taps(int place, int i, int n, int (&at)[5], float (&by)[5]) {
    int x = 2 * i, last = n - 1;
    if (place == SITING_EVERY) {
        at[0] = i;
        by[0] = 1.0f;
        return 1;
    }
    int first = place == SITING_EVEN ? x - 2 : x - 1;
#pragma unroll
    for (int k = 0; k < 5; k++) at[k] = min(max(first + k, 0), last);
    if (place == SITING_BETWEEN) {
        by[0] = by[3] = -0.25f;
        by[1] = by[2] = 0.75f;
        if (x < last) return 4;
        by[0] = -0.5f;
        by[1] = 1.5f;
        return 2;
    }
    by[0] = by[4] = -0.125f;
    by[1] = by[3] = 0.25f;
    by[2] = 0.75f;
    if (place == SITING_EVEN || x + 2 < last) return 5;
    // The last sample may lie beyond the last position.
    if (x == last) {
        by[0] = -1.0f;
        by[1] = 2.0f;
        return 2;
    }
    if (x + 2 == last) {
        by[2] = 0.875f;
        return 3;
    }
    return 5;
}
