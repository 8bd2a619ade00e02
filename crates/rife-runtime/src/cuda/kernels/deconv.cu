// A transposed 4x4 convolution with stride 2 and padding 1. An output pixel of each of the four
// phases (odd or even row and column) reads 2x2 input pixels, so only sixteen of the 36 (tap,
// phase) pairs of a 3x3 window have weights; the others are skipped. Weights are packed by phase.
// They either stay in shared memory while a persistent block computes several tiles (`RESIDENT`),
// or are loaded one part of the channels at a time.
//
// DECONV_EPILOGUE_ESTIMATE: the output of a block, pixel-shuffled, with flow in px. Column 8j + 2t
// + e of a phase is channel 2j + e of sub-pixel t, so that a thread has all channels of its pixel.
// DECONV_EPILOGUE_BLEND: the same for the last block at the frame's size, followed by blending.
// DECONV_EPILOGUE_FEATURES: encoder features, stored in the pixels of the frame. Column n is
// channel n.

#define PHASE_GROUPS (4 * NP / NT) // groups of phases: a block computes one of them
#define PG (4 / PHASE_GROUPS)      // phases of a block
#define PHASES (PG / WN)           // phases of a warp: all, the two of a row, or one
#define PHASE_ROWS (PHASES == 4 ? 2 : 1)
#define PHASE_COLUMNS (PHASES >= 2 ? 2 : 1)
#define MT (TH * TW / 16 / WM)
#define NP8 (NP / 8)
#define STEPS (CIN / KC)
#define PARTS (CIN / KP)
#define PART_STEPS (KP / KC)
#define PART_BYTES (PG * 4 * NP * KP * ES) // the weights of a part of the channels

// For each phase and each tap of its 2x2: one 256-byte fragment per 8 columns and step.
__device__ __forceinline__ void load_part(u32 to, const char* weights, int part) {
    constexpr int WORDS = PART_STEPS * 16;
    for (int i = threadIdx.x; i < PG * 4 * NP8 * WORDS; i += THREADS) {
        int n = i / WORDS, word = i % WORDS;
        copy16(to + i * 16, weights + ((long long)n * STEPS + part * PART_STEPS) * 256 + word * 16, true);
    }
}

__device__ __forceinline__ void multiply_part(float (&sum)[MT][PHASES][NP8][4], u32 halo, u32 weights, const u32 (&left)[MT], int warp_n, int first_phase, int part) {
#if PRODUCTS == PRODUCTS_3XTF32
    // Tensor cores truncate sums instead of rounding them, so use them to sum only one part at a
    // time.
    float c[MT][PHASES][NP8][4] = {};
#else
    float(&c)[MT][PHASES][NP8][4] = sum;
#endif
    int py = PHASES == 4 ? 0 : first_phase / 2, px = PHASES >= 2 ? 0 : first_phase % 2;
    u32 at = halo + (py * HALO_W + px) * PITCH + part * (KP * ES);
    u32 right = weights + warp_n * (PHASES * 4 * NP8 * PART_STEPS * 256) + (threadIdx.x & 31) * 8;
#pragma unroll
    for (int ty = 0; ty <= PHASE_ROWS; ty++) {
#pragma unroll
        for (int tx = 0; tx <= PHASE_COLUMNS; tx++) {
#pragma unroll
            for (int k = 0; k < PART_STEPS; k++) {
                OperandA a[MT];
#pragma unroll
                for (int i = 0; i < MT; i++) load_a(a[i], at + left[i] + (ty * HALO_W + tx) * PITCH + k * 32);
#pragma unroll
                for (int p = 0; p < PHASES; p++) {
                    int dy = ty - p / PHASE_COLUMNS, dx = tx - p % PHASE_COLUMNS;
                    if (dy < 0 || dy > 1 || dx < 0 || dx > 1) continue;
#pragma unroll
                    for (int j = 0; j < NP8; j++) {
                        uint2 b = lds64(right + (((p * 4 + dy * 2 + dx) * NP8 + j) * PART_STEPS + k) * 256);
#pragma unroll
                        for (int i = 0; i < MT; i++) multiply(c[i][p][j], a[i], b.x, b.y);
                    }
                }
            }
        }
    }
#if PRODUCTS == PRODUCTS_3XTF32
#pragma unroll
    for (int i = 0; i < MT; i++)
#pragma unroll
        for (int p = 0; p < PHASES; p++)
#pragma unroll
            for (int j = 0; j < NP8; j++)
#pragma unroll
                for (int k = 0; k < 4; k++) sum[i][p][j][k] += c[i][p][j][k];
#endif
}

extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS) kernel(const __grid_constant__ Args a) {
    extern __shared__ __align__(128) char shared[];
    u32 ring = smem_addr(shared);
    u32 halos = ring + (RESIDENT ? PARTS : 1) * PART_BYTES;
    int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
    int warp_m = warp % WM, warp_n = warp / WM;
    int group = blockIdx.y, first_phase = group * PG + warp_n * PHASES;
    const char* weights = (const char*)a.weights + (long long)group * (PG * 4 * NP8 * STEPS * 256);

    u32 left[MT];
#pragma unroll
    for (int i = 0; i < MT; i++) left[i] = a_offset(warp_m * MT + i);

    int total = a.tiles * a.batch;
    auto fetch = [&](int tile, u32 to) {
        if (tile < total) {
            int in_item = tile % a.tiles;
            const elem* src = (const elem*)a.src + (long long)(tile / a.tiles) * a.h * a.w * CIN;
            load_halo<CIN>(to, src, a.h, a.w, in_item / a.tiles_x * TH, in_item % a.tiles_x * TW, 0);
        }
        copy_commit();
    };

    let_next_kernel_start();
#pragma unroll 1
    for (int part = 0; part < (RESIDENT ? PARTS : 1); part++) load_part(ring + part * PART_BYTES, weights, part);
    wait_for_kernel_before();
    fetch(blockIdx.x, halos);
    int current = 0;

#pragma unroll 1
    for (int tile = blockIdx.x; tile < total; tile += gridDim.x) {
        int item = tile / a.tiles, in_item = tile % a.tiles;
        int oy = in_item / a.tiles_x * TH, ox = in_item % a.tiles_x * TW;
        float c[MT][PHASES][NP8][4] = {};
        u32 halo = halos;
#if HALOS == 2
        halo += current * HALO_BYTES;
        current ^= 1;
        fetch(tile + gridDim.x, halos + current * HALO_BYTES);
        copy_wait<1>();
#else
        copy_wait<0>();
#endif
        __syncthreads();
#pragma unroll 1
        for (int part = 0; part < PARTS; part++) {
#if RESIDENT
            multiply_part(c, halo, ring + part * PART_BYTES, left, warp_n, first_phase, part);
#else
            multiply_part(c, halo, ring, left, warp_n, first_phase, part);
            // Load the weights of the next part, or those of the first part for the next tile.
            __syncthreads();
            load_part(ring, weights, part + 1 < PARTS ? part + 1 : 0);
            copy_commit();
            if (part + 1 < PARTS) {
                copy_wait<0>();
                __syncthreads();
            }
#endif
        }
#if DECONV_EPILOGUE == DECONV_EPILOGUE_BLEND
        // Reuses the memory of the input, which is no longer needed.
        float4* staged = (float4*)(shared + (RESIDENT ? PARTS : 1) * PART_BYTES);
        float* masks = (float*)(staged + 16 * TH * TW);
        __syncthreads();
#endif
        const Item& it = a.items[item];
        int t = lane & 3;
#pragma unroll
        for (int i = 0; i < MT; i++) {
#pragma unroll
            for (int half = 0; half < 2; half++) {
                int m = (warp_m * MT + i) * 16 + half * 8 + (lane >> 2);
                int y = oy + m / TW, x = ox + m % TW;
                if (y >= a.h || x >= a.w) continue;
#pragma unroll
                for (int p = 0; p < PHASES; p++) {
                    int phase = first_phase + p;
                    int py = phase / 2, px = phase % 2;
#if DECONV_EPILOGUE == DECONV_EPILOGUE_FEATURES
                    char* pixel = (char*)it.image0 + ((long long)(2 * y + py) * a.full_w + 2 * x + px) * PIXEL_BYTES;
#pragma unroll
                    for (int j = 0; j < NP8; j++) {
                        int n = 8 * j + 2 * t;
                        if (n >= FEATURES) continue;
                        float2 bias = __ldg((const float2*)(a.bias + n));
                        float u = c[i][p][j][2 * half] + bias.x, v = c[i][p][j][2 * half + 1] + bias.y;
                        store2((elem*)(pixel + FEATURES_AT) + n, u, v);
                    }
#else
                    float v[2 * NP8];
#pragma unroll
                    for (int j = 0; j < NP8; j++) {
                        v[2 * j] = c[i][p][j][2 * half] + __ldg(a.bias + 8 * j + 2 * t);
                        v[2 * j + 1] = c[i][p][j][2 * half + 1] + __ldg(a.bias + 8 * j + 2 * t + 1);
                    }
                    int Y = 4 * y + 2 * py + (t >> 1), X = 4 * x + 2 * px + (t & 1);
#if DECONV_EPILOGUE == DECONV_EPILOGUE_ESTIMATE
                    long long at = ((long long)item * 4 * a.h + Y) * 4 * a.w + X;
                    float d = a.divisor;
                    a.flow[at] = make_float4(v[0] * d, v[1] * d, v[2] * d, v[3] * d);
                    a.mask[at] = v[4];
#if NP == 56
                    // The feature is stored in the precision of the convolutions.
#if PRODUCTS == PRODUCTS_F16
                    ((uint4*)a.feat)[at] = make_uint4(pack_half2(v[5], v[6]), pack_half2(v[7], v[8]), pack_half2(v[9], v[10]), pack_half2(v[11], v[12]));
#else
                    ((float4*)a.feat)[2 * at] = make_float4(v[5], v[6], v[7], v[8]);
                    ((float4*)a.feat)[2 * at + 1] = make_float4(v[9], v[10], v[11], v[12]);
#endif
#endif
#else
                    // Stage in shared memory, so that pixels are blended in memory order.
                    int pixel = (Y - 4 * oy) * (4 * TW) + X - 4 * ox;
                    staged[pixel] = make_float4(v[0], v[1], v[2], v[3]);
                    masks[pixel] = v[4];
#endif
#endif
                }
            }
        }
#if DECONV_EPILOGUE == DECONV_EPILOGUE_BLEND
        __syncthreads();
#pragma unroll 2
        for (int i = threadIdx.x; i < 16 * TH * TW; i += THREADS) {
            int Y = 4 * oy + i / (4 * TW), X = 4 * ox + i % (4 * TW);
            if (Y >= a.frame_h || X >= a.frame_w) continue;
            float flow[4], mask, rgb[3];
            Corners last;
            estimate<LEVELS>(a, item, Y, X, flow, mask, last);
            float4 v = staged[i];
            flow[0] += v.x;
            flow[1] += v.y;
            flow[2] += v.z;
            flow[3] += v.w;
#if MASK_REPLACED
            mask = masks[i];
#else
            mask += masks[i];
#endif
            blend_pixel(a, it, Y, X, flow, mask, rgb);
            store_rgb(it, Y, X, rgb);
        }
#endif
        __syncthreads();
#if HALOS == 1
        fetch(tile + gridDim.x, halos);
#endif
    }
    copy_wait<0>();
}
