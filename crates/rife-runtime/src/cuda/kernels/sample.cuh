// Reads frames, warps them, and sums the outputs of earlier blocks. A pixel of a frame has RGB and
// `FEATURES` encoder features, a multiple of 4, at byte `FEATURES_AT` of `PIXEL_BYTES`. In F16, RGB
// is 16-bit integers, which represent 8-bit and 16-bit frames exactly, and features are F16;
// otherwise all are F32.

#define PIXEL_CHANNELS (3 + FEATURES)
#if PRODUCTS == PRODUCTS_F16
#define UNIT (1.0f / 65535.0f)
#else
#define UNIT 1.0f
#endif

// A pixel in memory, or only its RGB.
#if PRODUCTS == PRODUCTS_F16
typedef uint2 Colours;
#else
typedef float4 Colours;
#endif
// Words that features are loaded in.
#if PRODUCTS != PRODUCTS_F16
typedef float4 Word;
#elif FEATURES % 8 == 0
typedef uint4 Word;
#else
typedef uint2 Word;
#endif
#if !FEATURES
typedef Colours Pixel;
#elif PRODUCTS == PRODUCTS_F16 && FEATURES == 4
typedef uint4 Pixel; // one load
#else
struct Pixel {
    Colours colours;
    Word words[FEATURES * ES / sizeof(Word)];
};
#endif

__device__ __forceinline__ void load(Colours& p, const char* at) { p = __ldg((const Colours*)at); }

#if FEATURES
__device__ __forceinline__ void load(Pixel& p, const char* at) {
#if PRODUCTS == PRODUCTS_F16 && FEATURES == 4
    p = __ldg((const uint4*)at);
#else
    load(p.colours, at);
#pragma unroll
    for (int i = 0; i < FEATURES * ES / sizeof(Word); i++) p.words[i] = __ldg((const Word*)(at + FEATURES_AT) + i);
#endif
}
#endif

// Converts an integer below 2^23 to float without the slow conversion instruction.
__device__ __forceinline__ float small_to_float(u32 v) {
    return __uint_as_float(0x4b000000u | v) - 8388608.0f;
}

// Adds `weight` times RGB, in units of UNIT.
__device__ __forceinline__ void add_colours(float* v, const Colours& p, float weight) {
#if PRODUCTS == PRODUCTS_F16
    v[0] = fmaf(weight, small_to_float(p.x & 0xffffu), v[0]);
    v[1] = fmaf(weight, small_to_float(p.x >> 16), v[1]);
    v[2] = fmaf(weight, small_to_float(p.y & 0xffffu), v[2]);
#else
    v[0] = fmaf(weight, p.x, v[0]);
    v[1] = fmaf(weight, p.y, v[1]);
    v[2] = fmaf(weight, p.z, v[2]);
#endif
}

__device__ __forceinline__ void add(float (&v)[3], const Colours& p, float weight) { add_colours(v, p, weight); }

#if FEATURES
// Adds `weight` times the features of a word.
#if PRODUCTS == PRODUCTS_F16
__device__ __forceinline__ void add_word(float* v, u32 word, float weight) {
    float a, b;
    unpack_half2(word, a, b);
    v[0] = fmaf(weight, a, v[0]);
    v[1] = fmaf(weight, b, v[1]);
}

__device__ __forceinline__ void add_word(float* v, const uint2& word, float weight) {
    add_word(v, word.x, weight);
    add_word(v + 2, word.y, weight);
}

__device__ __forceinline__ void add_word(float* v, const uint4& word, float weight) {
    add_word(v, make_uint2(word.x, word.y), weight);
    add_word(v + 4, make_uint2(word.z, word.w), weight);
}
#else
__device__ __forceinline__ void add_word(float* v, const float4& word, float weight) {
    v[0] = fmaf(weight, word.x, v[0]);
    v[1] = fmaf(weight, word.y, v[1]);
    v[2] = fmaf(weight, word.z, v[2]);
    v[3] = fmaf(weight, word.w, v[3]);
}
#endif

__device__ __forceinline__ void add(float (&v)[PIXEL_CHANNELS], const Pixel& p, float weight) {
#if PRODUCTS == PRODUCTS_F16 && FEATURES == 4
    add_colours(v, make_uint2(p.x, p.y), weight);
    add_word(v + 3, make_uint2(p.z, p.w), weight);
#else
    add_colours(v, p.colours, weight);
#pragma unroll
    for (int i = 0; i < FEATURES * ES / sizeof(Word); i++) add_word(v + 3 + i * (int)(sizeof(Word) / ES), p.words[i], weight);
#endif
}
#endif

// The pixel at or before `position + flow` on an axis, the one after it, and the fraction. Adding
// the position to the integer part of the flow is exact.
__device__ __forceinline__ void corner(float flow, int position, int length, int& first, int& second, float& fraction) {
    flow = fminf(fmaxf(flow, -MAX_FLOW_PX), MAX_FLOW_PX);
    int whole = __float2int_rd(flow);
    int pixel = position + whole;
    fraction = pixel >= 0 ? flow - (float)whole : 0.0f;
    first = min(max(pixel, 0), length - 1);
    second = min(first + 1, length - 1);
}

// Four adjacent pixels and their weights.
struct Corners {
    int i00, i01, i10, i11;
    float w00, w01, w10, w11;
};

__device__ __forceinline__ Corners corners(int base, int width, int y0, int y1, int x0, int x1, float ay, float ax) {
    Corners c;
    c.i00 = base + y0 * width + x0;
    c.i01 = base + y0 * width + x1;
    c.i10 = base + y1 * width + x0;
    c.i11 = base + y1 * width + x1;
    c.w11 = ax * ay;
    c.w10 = ay - c.w11;
    c.w01 = ax - c.w11;
    c.w00 = 1.0f - ax - c.w10;
    return c;
}

// The sampling position (x + fx, y + fy) in a frame, clamped to the border.
__device__ __forceinline__ Corners warped(int h, int w, int y, int x, float fx, float fy) {
    int x0, x1, y0, y1;
    float ax, ay;
    corner(fx, x, w, x0, x1, ax);
    corner(fy, y, h, y0, y1, ay);
    return corners(0, w, y0, y1, x0, x1, ay, ax);
}

// `P` is the whole pixel or only its RGB.
template <typename P, int C>
__device__ __forceinline__ void sample(const char* image, const Corners& c, float (&v)[C]) {
    P p00, p01, p10, p11;
    load(p00, image + (long long)c.i00 * PIXEL_BYTES);
    load(p01, image + (long long)c.i01 * PIXEL_BYTES);
    load(p10, image + (long long)c.i10 * PIXEL_BYTES);
    load(p11, image + (long long)c.i11 * PIXEL_BYTES);
#pragma unroll
    for (int i = 0; i < C; i++) v[i] = 0.0f;
    add(v, p00, c.w00);
    add(v, p01, c.w01);
    add(v, p10, c.w10);
    add(v, p11, c.w11);
}

// For a level with divisor 2^K, the cell at or before a pixel of the frame on an axis, and the
// fraction.
template <int K>
__device__ __forceinline__ void cell(int position, int& first, float& fraction) {
    constexpr int UP = K < 0 ? -K : 1, DOWN = K < 0 ? 0 : K;
    if (K >= 0) {
        int twice = max(2 * position + 1 - (1 << DOWN), 0);
        first = twice >> (DOWN + 1);
        fraction = (float)(twice & ((2 << DOWN) - 1)) * (0.5f / (1 << DOWN));
    } else {
        first = (position << UP) + (1 << (UP - 1)) - 1;
        fraction = 0.5f;
    }
}

// The four cells of a level around a pixel of the frame.
template <int K>
__device__ __forceinline__ Corners cells(const Level& level, int item, int y, int x) {
    int y0, x0;
    float ay, ax;
    cell<K>(y, y0, ay);
    cell<K>(x, x0, ax);
    int y1 = min(y0 + 1, level.h - 1), x1 = min(x0 + 1, level.w - 1);
    return corners(item * level.h * level.w, level.w, y0, y1, x0, x1, ay, ax);
}

// This kernel may start before the previous one has finished, so the output of the previous kernel
// must not be read through the read-only cache.
__device__ __forceinline__ void add_flow(const Level& level, const Corners& c, float (&flow)[4]) {
    float4 p = level.flow[c.i00], q = level.flow[c.i01];
    float4 r = level.flow[c.i10], s = level.flow[c.i11];
    flow[0] += fmaf(c.w00, p.x, fmaf(c.w01, q.x, fmaf(c.w10, r.x, c.w11 * s.x)));
    flow[1] += fmaf(c.w00, p.y, fmaf(c.w01, q.y, fmaf(c.w10, r.y, c.w11 * s.y)));
    flow[2] += fmaf(c.w00, p.z, fmaf(c.w01, q.z, fmaf(c.w10, r.z, c.w11 * s.z)));
    flow[3] += fmaf(c.w00, p.w, fmaf(c.w01, q.w, fmaf(c.w10, r.w, c.w11 * s.w)));
}

__device__ __forceinline__ float mask_at(const Level& level, const Corners& c) {
    float p = level.mask[c.i00], q = level.mask[c.i01];
    float r = level.mask[c.i10], s = level.mask[c.i11];
    return fmaf(c.w00, p, fmaf(c.w01, q, fmaf(c.w10, r, c.w11 * s)));
}

// Log2 of a level's divisor.
__device__ constexpr int log2_divisor(int level) {
    constexpr int all[] = {LOG2_DIVISORS};
    return all[level];
}

// The sum of the first `N` levels' flow at a pixel, and the mask: their sum, or that of the last
// one (`MASK_REPLACED`). `last` are the cells of the last level.
template <int N, int I = 0>
__device__ __forceinline__ void add_levels(const Args& a, int item, int y, int x, float (&flow)[4], float& mask, Corners& last) {
    if constexpr (I < N) {
        last = cells<log2_divisor(I)>(a.level[I], item, y, x);
        add_flow(a.level[I], last, flow);
#if MASK_REPLACED
        if (I == N - 1) mask = mask_at(a.level[I], last);
#else
        mask += mask_at(a.level[I], last);
#endif
        add_levels<N, I + 1>(a, item, y, x, flow, mask, last);
    }
}

template <int N>
__device__ __forceinline__ void estimate(const Args& a, int item, int y, int x, float (&flow)[4], float& mask, Corners& last) {
    flow[0] = flow[1] = flow[2] = flow[3] = 0.0f;
    mask = 0.0f;
    add_levels<N>(a, item, y, x, flow, mask, last);
}

#ifdef TAPS
// The input of a block has two halves of `CIN / 2` channels, one per frame: RGB, features if any,
// the timestep or the mask, flow, and four channels of the previous block's feature if any. They
// are followed by the rounding residuals of its flow or of all of these (`RESIDUALS`), then zeros.
// See `input_channels` in `pack.rs`.
#define HALF (CIN / 2)
#define AUX PIXEL_CHANNELS
#define USED (AUX + 1 + (LEVELS > 0 ? FEATURES ? 6 : 2 : 0))

#if FEATURES
__device__ __forceinline__ void add_feature(float* v, const void* feat, int index, float weight) {
#if PRODUCTS == PRODUCTS_F16
    uint4 q = ((const uint4*)feat)[index];
    u32 words[4] = {q.x, q.y, q.z, q.w};
#pragma unroll
    for (int i = 0; i < 4; i++) {
        float a, b;
        unpack_half2(words[i], a, b);
        int c = i / 2 * HALF + AUX + 3 + i % 2 * 2;
        v[c] = fmaf(weight, a, v[c]);
        v[c + 1] = fmaf(weight, b, v[c + 1]);
    }
#else
#pragma unroll
    for (int i = 0; i < 2; i++) {
        float4 q = ((const float4*)feat)[2 * index + i];
        float* to = v + i * HALF + AUX + 3;
        to[0] = fmaf(weight, q.x, to[0]);
        to[1] = fmaf(weight, q.y, to[1]);
        to[2] = fmaf(weight, q.z, to[2]);
        to[3] = fmaf(weight, q.w, to[3]);
    }
#endif
}
#endif

// The input of a block at one pixel of the full-size frame, before flow is divided.
template <int N>
__device__ __forceinline__ void input_at(const Args& a, const Item& it, int item, int y, int x, float weight, float (&v)[CIN]) {
    constexpr int C = PIXEL_CHANNELS;
    float p[C], q[C];
    if (N == 0) {
        Pixel r, s;
        load(r, it.image0 + (long long)(y * a.full_w + x) * PIXEL_BYTES);
        load(s, it.image1 + (long long)(y * a.full_w + x) * PIXEL_BYTES);
#pragma unroll
        for (int c = 0; c < C; c++) p[c] = q[c] = 0.0f;
        add(p, r, 1.0f);
        add(q, s, 1.0f);
    } else {
        float flow[4], mask;
        Corners last;
        estimate<N>(a, item, y, x, flow, mask, last);
        sample<Pixel>(it.image0, warped(a.full_h, a.full_w, y, x, flow[0], flow[1]), p);
        sample<Pixel>(it.image1, warped(a.full_h, a.full_w, y, x, flow[2], flow[3]), q);
        v[HALF + AUX] = fmaf(weight, mask, v[HALF + AUX]);
#pragma unroll
        for (int c = 0; c < 2; c++) {
            constexpr int F = (AUX + 1) % HALF;
            v[F + c] = fmaf(weight, flow[c], v[F + c]);
            v[HALF + F + c] = fmaf(weight, flow[2 + c], v[HALF + F + c]);
        }
#if FEATURES && LEVELS > 0
        const void* feat = a.level[N > 0 ? N - 1 : 0].feat;
        add_feature(v, feat, last.i00, weight * last.w00);
        add_feature(v, feat, last.i01, weight * last.w01);
        add_feature(v, feat, last.i10, weight * last.w10);
        add_feature(v, feat, last.i11, weight * last.w11);
#endif
    }
#pragma unroll
    for (int c = 0; c < C; c++) {
        float scale = c < 3 ? weight * UNIT : weight;
        v[c] = fmaf(scale, p[c], v[c]);
        v[HALF + c] = fmaf(scale, q[c], v[HALF + c]);
    }
}

// The input of a block at one pixel of its own resolution, after `LEVELS` blocks. `TAPS` is 1 if
// the block has the frame's resolution.
__device__ __forceinline__ void block_input(const Args& a, const Item& it, int item, int by, int bx, float (&v)[CIN]) {
#pragma unroll
    for (int c = 0; c < CIN; c++) v[c] = 0.0f;
#if TAPS == 1
    input_at<LEVELS>(a, it, item, by, bx, 1.0f, v);
#else
    float cy = fmaxf(((float)by + 0.5f) * a.divisor - 0.5f, 0.0f);
    float cx = fmaxf(((float)bx + 0.5f) * a.divisor - 0.5f, 0.0f);
    int y0 = min((int)cy, a.full_h - 1), x0 = min((int)cx, a.full_w - 1);
    int y1 = min(y0 + 1, a.full_h - 1), x1 = min(x0 + 1, a.full_w - 1);
    float ay = cy - (float)y0, ax = cx - (float)x0;
#pragma unroll 1
    for (int i = 0; i < 4; i++) {
        float weight = (i & 1 ? ax : 1.0f - ax) * (i & 2 ? ay : 1.0f - ay);
        input_at<LEVELS>(a, it, item, i & 2 ? y1 : y0, i & 1 ? x1 : x0, weight, v);
    }
    if (LEVELS > 0) {
        constexpr int F = (AUX + 1) % HALF;
        float inv = 1.0f / a.divisor;
        v[F] *= inv;
        v[F + 1] *= inv;
        v[HALF + F] *= inv;
        v[HALF + F + 1] *= inv;
    }
#endif
    v[AUX] = it.t;
#if RESIDUALS != RESIDUALS_NONE
    constexpr int FROM = RESIDUALS == RESIDUALS_FLOW ? AUX + 1 : 0, COUNT = RESIDUALS == RESIDUALS_FLOW ? 2 : USED;
#pragma unroll
    for (int c = 0; c < COUNT; c++) {
        v[USED + c] = rounding_residual(v[FROM + c]);
        v[HALF + USED + c] = rounding_residual(v[HALF + FROM + c]);
    }
#endif
}
#endif

// Stores a pixel: as integers, rounded, with NaN as 0; or as floats, which keep NaN.
__device__ __forceinline__ void store_rgb(const Item& it, int y, int x, const float (&rgb)[3]) {
    char* to = it.out + y * it.row + x * it.pixel;
#pragma unroll
    for (int c = 0; c < 3; c++, to += it.channel) {
        float v = fminf(fmaxf(rgb[c], 0.0f), 1.0f), f = rgb[c] < 0.0f ? 0.0f : rgb[c] > 1.0f ? 1.0f : rgb[c];
        if (it.sample == SAMPLE_U8)
            *(u8*)to = (u8)__float2uint_rn(v * 255.0f);
        else if (it.sample == SAMPLE_U16)
            *(u16*)to = (u16)__float2uint_rn(v * 65535.0f);
        else if (it.sample == SAMPLE_F16)
            *(u16*)to = float_to_half(f);
        else
            *(float*)to = f;
    }
}

// The interpolated pixel, from its flow and mask.
__device__ __forceinline__ void blend_pixel(const Args& a, const Item& it, int y, int x, const float (&flow)[4], float mask, float (&rgb)[3]) {
    float p[3], q[3];
    sample<Colours>(it.image0, warped(a.full_h, a.full_w, y, x, flow[0], flow[1]), p);
    sample<Colours>(it.image1, warped(a.full_h, a.full_w, y, x, flow[2], flow[3]), q);
    float m = 1.0f / (1.0f + expf(-mask));
#pragma unroll
    for (int c = 0; c < 3; c++) rgb[c] = fmaf(p[c], m, q[c] * (1.0f - m)) * UNIT;
}
