// A tile of an image and the pixels around it in shared memory: pixel after pixel, each with all
// channels and 16 bytes of padding. With the padding, a pixel has an odd number of 16-byte words,
// so that `ldmatrix` loads of eight adjacent pixels have no bank conflicts. With stride 2,
// the even columns precede the odd ones for the same reason.

#define THREADS (WM * WN * 32)
#define PITCH (IN_TERMS * CIN * ES + 16)
#define HALO_H ((TH - 1) * STRIDE + 3)
#define HALO_W ((TW - 1) * STRIDE + 3)
#define HALO_BYTES (HALO_H * HALO_W * PITCH)

__device__ __forceinline__ int halo_column(int x) {
#if STRIDE == 1
    return x;
#else
    return (x & 1) ? (TW + 1) + (x >> 1) : (x >> 1);
#endif
}

// Copies channels [first, first + count) of the tile whose first output is (oy, ox).
template <int COUNT>
__device__ __forceinline__ void load_halo(u32 to, const elem* src, int h, int w, int oy, int ox, int first) {
    int y0 = oy * STRIDE - 1, x0 = ox * STRIDE - 1;
#if LAYOUT == LAYOUT_CHANNELS_LAST
    constexpr int WORDS = COUNT * ES / 16;
    // Most tiles are inside the image, and need no border checks.
    bool inside = y0 >= 0 && x0 >= 0 && y0 + HALO_H <= h && x0 + HALO_W <= w;
    const elem* corner = src + ((long long)y0 * w + x0) * (IN_TERMS * CIN) + first;
    to += first * ES;
    for (int i = threadIdx.x; i < HALO_H * HALO_W * WORDS; i += THREADS) {
        int word = i % WORDS, pixel = i / WORDS;
        int hy = pixel / HALO_W, hx = pixel % HALO_W;
        u32 at = to + (hy * HALO_W + halo_column(hx)) * PITCH + word * 16;
        const elem* from = corner + ((hy * w + hx) * (IN_TERMS * CIN) + word * E16);
        if (inside) {
            copy16(at, from, true);
        } else {
            bool valid = (unsigned)(y0 + hy) < (unsigned)h && (unsigned)(x0 + hx) < (unsigned)w;
            copy16(at, valid ? from : src, valid);
        }
    }
#else
    for (int i = threadIdx.x; i < HALO_H * HALO_W * COUNT; i += THREADS) {
        int pixel = i % (HALO_H * HALO_W), c = first + i / (HALO_H * HALO_W);
        int hy = pixel / HALO_W, hx = pixel % HALO_W;
        int y = y0 + hy, x = x0 + hx;
        bool valid = (unsigned)y < (unsigned)h && (unsigned)x < (unsigned)w;
        elem v = valid ? src[((long long)c * h + y) * w + x] : (elem)0;
        u32 at = to + (hy * HALO_W + halo_column(hx)) * PITCH + c * ES;
#if PRODUCTS == PRODUCTS_F16
        asm volatile("st.shared.u16 [%0], %1;\n" ::"r"(at), "h"(v));
#else
        asm volatile("st.shared.f32 [%0], %1;\n" ::"r"(at), "f"(v));
#endif
    }
#endif
}

// The `ldmatrix` addresses of the rows of a warp's 16-pixel tile, without the tap's offset.
__device__ __forceinline__ u32 a_offset(int m_tile) {
    int lane = threadIdx.x & 31;
    int m = m_tile * 16 + (lane & 15);
    return ((m / TW) * STRIDE * HALO_W + (m % TW)) * PITCH + (lane >> 4) * 16;
}

__device__ __forceinline__ int tap_offset(int ky, int kx) {
    return (ky * HALO_W + halo_column(kx)) * PITCH;
}
