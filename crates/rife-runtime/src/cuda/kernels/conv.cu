// A 3x3 convolution with padding 1 as an implicit matrix product on the tensor cores: a tile of
// output pixels times output channels, summed over taps and input channels. The input of a tile is
// loaded to shared memory once and read nine times with different offsets. Weights are packed in
// the order in which the tensor cores read them. They either stay in shared memory while a
// persistent block computes several tiles (`RESIDENT`), or stream through a ring of `STAGES` slabs.
//
// INPUT is a tensor, the input of a block (computed here from the frames), or the RGB of a frame.

#define MT (TH * TW / 16 / WM)   // 16-pixel tiles of a warp
#define NW (NT / WN)             // output channels of a warp
#define STEPS (CIN / KC)         // tensor-core steps of a tap
#define SLAB_STEPS (KP / KC)
#define SLABS (9 * CIN / KP)
#define SLAB_BYTES (NT * KP * ES)

__device__ __forceinline__ void load_slab(u32 to, const char* weights, int slab) {
    constexpr int WORDS = SLAB_STEPS * 16; // of 16 bytes, of eight output channels
    int tap = slab % 9, part = slab / 9;
    for (int i = threadIdx.x; i < NT / 8 * WORDS; i += THREADS) {
        int n = i / WORDS, word = i % WORDS;
        const char* from = weights + ((long long)(n * 9 + tap) * STEPS + part * SLAB_STEPS) * 256 + word * 16;
        copy16(to + i * 16, from, true);
    }
}

// The operands of a step, double-buffered: they are loaded while the previous ones are multiplied.
struct Operands {
    OperandA left[2];
    u32 right[2][NW / 16][4];
};

// The addresses of a slab's operands for this warp.
struct Slab {
    u32 left, right;
};

__device__ __forceinline__ Slab slab_at(u32 halo, u32 weights, int warp_n, int index, int term) {
    int tap = index % 9, part = index / 9;
    Slab s;
    s.left = halo + tap_offset(tap / 3, tap % 3) + (term * CIN + part * KP) * ES;
    int lane = threadIdx.x & 31;
    s.right = weights + (warp_n * (NW / 8) + lane / 16) * (SLAB_STEPS * 256) + lane % 16 * 16;
    return s;
}

__device__ __forceinline__ void load_right(u32 (&b)[NW / 16][4], const Slab& s, int k) {
#pragma unroll
    for (int j = 0; j < NW / 16; j++) ldmatrix4(b[j], s.right + (2 * j * SLAB_STEPS + k) * 256);
}

__device__ __forceinline__ void load_first(Operands& o, const Slab& s, const u32 (&left)[MT]) {
    load_right(o.right[0], s, 0);
    load_a(o.left[0], s.left + left[0]);
}

// Multiplies a slab whose first operands are already loaded, and loads the first operands of
// `next`.
template <bool MORE>
__device__ __forceinline__ void multiply_slab(float (&sum)[MT][NW / 8][4], Operands& o, const Slab& s, const Slab& next, const u32 (&left)[MT]) {
#if PRODUCTS == PRODUCTS_3XTF32
    // Tensor cores truncate sums instead of rounding them, so use them to sum only one slab at a
    // time.
    float c[MT][NW / 8][4] = {};
#else
    float(&c)[MT][NW / 8][4] = sum;
#endif
#pragma unroll
    for (int k = 0; k < SLAB_STEPS; k++) {
        if (k + 1 < SLAB_STEPS) load_right(o.right[(k + 1) & 1], s, k + 1);
        else if (MORE) load_right(o.right[(k + 1) & 1], next, 0);
#pragma unroll
        for (int i = 0; i < MT; i++) {
            int at = k * MT + i;
            if (i + 1 < MT) load_a(o.left[(at + 1) & 1], s.left + left[i + 1] + k * 32);
            else if (k + 1 < SLAB_STEPS) load_a(o.left[(at + 1) & 1], s.left + left[0] + (k + 1) * 32);
            else if (MORE) load_a(o.left[(at + 1) & 1], next.left + left[0]);
#pragma unroll
            for (int j = 0; j < NW / 16; j++) {
                u32(&b)[4] = o.right[k & 1][j];
                multiply(c[i][2 * j], o.left[at & 1], b[0], b[1]);
                multiply(c[i][2 * j + 1], o.left[at & 1], b[2], b[3]);
            }
        }
    }
    if (MORE && (SLAB_STEPS & 1)) {
#pragma unroll
        for (int j = 0; j < NW / 16; j++)
#pragma unroll
            for (int r = 0; r < 4; r++) o.right[0][j][r] = o.right[1][j][r];
    }
    if (MORE && ((SLAB_STEPS * MT) & 1)) o.left[0] = o.left[1];
#if PRODUCTS == PRODUCTS_3XTF32
#pragma unroll
    for (int i = 0; i < MT; i++)
#pragma unroll
        for (int j = 0; j < NW / 8; j++)
#pragma unroll
            for (int k = 0; k < 4; k++) sum[i][j][k] += c[i][j][k];
#endif
}

#if INPUT != INPUT_TENSOR
// Stores channels [first, first + 8) of a pixel in shared memory. For 3xBF16 in the layout of
// `OperandA`.
__device__ __forceinline__ void store8(u32 pixel, int first, const float (&v)[8]) {
    u32 at = pixel + first * ES;
#if PRODUCTS == PRODUCTS_F16
    asm volatile("st.shared.v4.u32 [%0], {%1,%2,%3,%4};\n" ::"r"(at), "r"(pack_half2(v[0], v[1])),
                 "r"(pack_half2(v[2], v[3])), "r"(pack_half2(v[4], v[5])), "r"(pack_half2(v[6], v[7])));
#elif PRODUCTS == PRODUCTS_3XBF16
    u32 rounded[4], residuals[4];
#pragma unroll
    for (int i = 0; i < 4; i++) split2(v[i], v[i + 4], rounded[i], residuals[i]);
    asm volatile("st.shared.v4.u32 [%0], {%1,%2,%3,%4};\n" ::"r"(at), "r"(rounded[0]), "r"(rounded[1]), "r"(rounded[2]), "r"(rounded[3]));
    asm volatile("st.shared.v4.u32 [%0], {%1,%2,%3,%4};\n" ::"r"(at + 16), "r"(residuals[0]), "r"(residuals[1]), "r"(residuals[2]), "r"(residuals[3]));
#else
    asm volatile("st.shared.v4.f32 [%0], {%1,%2,%3,%4};\n" ::"r"(at), "f"(v[0]), "f"(v[1]), "f"(v[2]), "f"(v[3]));
    asm volatile("st.shared.v4.f32 [%0], {%1,%2,%3,%4};\n" ::"r"(at + 16), "f"(v[4]), "f"(v[5]), "f"(v[6]), "f"(v[7]));
#endif
}

// Computes the input of the tile: that of a block, or the RGB of a frame.
__device__ __forceinline__ void make_halo(u32 to, const Args& a, const Item& it, int item, int oy, int ox) {
    int y0 = oy * STRIDE - 1, x0 = ox * STRIDE - 1;
    for (int i = threadIdx.x; i < HALO_H * HALO_W; i += THREADS) {
        int hy = i / HALO_W, hx = i % HALO_W;
        int y = y0 + hy, x = x0 + hx;
        bool valid = (unsigned)y < (unsigned)a.h && (unsigned)x < (unsigned)a.w;
        u32 at = to + (hy * HALO_W + halo_column(hx)) * PITCH;
        float v[CIN] = {};
#if INPUT == INPUT_BLOCK
        if (valid) block_input(a, it, item, y, x, v);
#else
        if (valid) {
            Colours p;
            load(p, it.image0 + (long long)(y * a.full_w + x) * PIXEL_BYTES);
            add_colours(v, p, UNIT);
#if RESIDUALS != RESIDUALS_NONE
#pragma unroll
            for (int c = 0; c < 3; c++) v[3 + c] = rounding_residual(v[c]);
#endif
        }
#endif
#pragma unroll
        for (int part = 0; part < CIN / 8; part++) store8(at, part * 8, *(float(*)[8])(v + part * 8));
    }
}
#endif

extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS) kernel(const __grid_constant__ Args a) {
    extern __shared__ __align__(128) char shared[];
    u32 halos = smem_addr(shared);
    u32 ring = halos + HALOS * HALO_BYTES;
    int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
    int warp_m = warp % WM, warp_n = warp / WM;
    int n0 = blockIdx.y * NT;
    const char* weights = (const char*)a.weights + (long long)(n0 / 8) * 9 * STEPS * 256;

    u32 left[MT];
#pragma unroll
    for (int i = 0; i < MT; i++) left[i] = a_offset(warp_m * MT + i);

    int total = a.tiles * a.batch;
    int tile = blockIdx.x;
    let_next_kernel_start();

#if RESIDENT
#pragma unroll 1
    for (int i = 0; i < SLABS; i++) load_slab(ring + i * SLAB_BYTES, weights, i);
    wait_for_kernel_before();
#else
    // The first weights of the first tile are also loaded before the wait.
    bool waited = false;
#endif
    auto origin = [&](int tile, int& item, int& oy, int& ox) {
        item = tile / a.tiles;
        int in_item = tile % a.tiles;
        oy = in_item / a.tiles_x * TH;
        ox = in_item % a.tiles_x * TW;
    };
    auto input_of = [&](int item) { return (const elem*)a.src + (long long)item * a.h * a.w * (IN_TERMS * CIN); };

#if RESIDENT && INPUT == INPUT_TENSOR
    if (tile < total) {
        int item, oy, ox;
        origin(tile, item, oy, ox);
        load_halo<IN_TERMS * CIN>(halos, input_of(item), a.h, a.w, oy, ox, 0);
    }
    copy_commit();
    int current = 0;
#endif

    for (; tile < total; tile += gridDim.x) {
        int item, oy, ox;
        origin(tile, item, oy, ox);
        Operands operands;
        u32 halo = halos;

#if INPUT != INPUT_TENSOR
        make_halo(halo, a, a.items[item], item, oy, ox);
#if RESIDENT
        copy_commit();
        copy_wait<0>();
        __syncthreads();
#endif
#elif RESIDENT
#if HALOS == 2
        halo += current * HALO_BYTES;
        current ^= 1;
        if (tile + gridDim.x < total) {
            int item, oy, ox;
            origin(tile + gridDim.x, item, oy, ox);
            load_halo<IN_TERMS * CIN>(halos + current * HALO_BYTES, input_of(item), a.h, a.w, oy, ox, 0);
        }
        copy_commit();
        copy_wait<1>();
#else
        copy_wait<0>();
#endif
        __syncthreads();
#endif

        float c[MT][NW / 8][4];
#pragma unroll
        for (int j = 0; j < NW / 8; j++) {
            float2 bias = __ldg((const float2*)(a.bias + n0 + warp_n * NW + j * 8 + (lane & 3) * 2));
#pragma unroll
            for (int i = 0; i < MT; i++) {
                c[i][j][0] = c[i][j][2] = bias.x;
                c[i][j][1] = c[i][j][3] = bias.y;
            }
        }
#if RESIDENT
        // The same weights multiply every term of the input.
#pragma unroll 1
        for (int i = 0; i < IN_TERMS * SLABS; i++) {
            int after = i + 1 < IN_TERMS * SLABS ? i + 1 : 0;
            Slab slab = slab_at(halo, ring + i / IN_TERMS * SLAB_BYTES, warp_n, i / IN_TERMS, i % IN_TERMS);
            Slab next = slab_at(halo, ring + after / IN_TERMS * SLAB_BYTES, warp_n, after / IN_TERMS, after % IN_TERMS);
            if (i == 0) load_first(operands, slab, left);
            multiply_slab<true>(c, operands, slab, next, left);
        }
#else
        const elem* src = input_of(item);
        auto load_part = [&](int part) {
#pragma unroll
            for (int term = 0; term < IN_TERMS; term++) load_halo<KP>(halo, src, a.h, a.w, oy, ox, term * CIN + part * KP);
        };
#pragma unroll
        for (int i = 0; i < STAGES - 1; i++) {
            if (i < SLABS) load_slab(ring + i * SLAB_BYTES, weights, i);
            if (i == 0) {
                if (!waited) wait_for_kernel_before();
                waited = true;
                load_part(0);
            }
            copy_commit();
        }
        int stage = 0, next = STAGES - 1;
#pragma unroll 1
        for (int i = 0; i < SLABS; i++) {
            copy_wait<STAGES - 2>();
            __syncthreads();
            int ahead = i + STAGES - 1;
            if (ahead < SLABS) {
                if (ahead % 9 == 0) load_part(ahead / 9);
                load_slab(ring + next * SLAB_BYTES, weights, ahead);
            }
            copy_commit();
#pragma unroll
            for (int term = 0; term < IN_TERMS; term++) {
                Slab slab = slab_at(halo, ring + stage * SLAB_BYTES, warp_n, i, term);
                load_first(operands, slab, left);
                multiply_slab<false>(c, operands, slab, slab, left);
            }
            stage = stage + 1 == STAGES ? 0 : stage + 1;
            next = next + 1 == STAGES ? 0 : next + 1;
        }
#endif

        int first = n0 + warp_n * NW; // of this warp's output channels
        elem* dst = (elem*)a.dst + (long long)item * a.oh * a.ow * (OUT_TERMS * COUT);
#pragma unroll
        for (int i = 0; i < MT; i++) {
#pragma unroll
            for (int half = 0; half < 2; half++) {
                int m = (warp_m * MT + i) * 16 + half * 8 + (lane >> 2);
                int y = oy + m / TW, x = ox + m % TW;
                if (y >= a.oh || x >= a.ow) continue;
                long long pixel = (long long)y * a.ow + x;
                int n = first + (lane & 3) * 2;
                elem* to = dst + pixel * (OUT_TERMS * COUT) + n;
#if EPILOGUE == EPILOGUE_RESIDUAL
                u32 centre = halo + ((m / TW + 1) * HALO_W + m % TW + 1) * PITCH + n * ES;
#endif
#pragma unroll
                for (int j = 0; j < NW / 8; j++) {
                    float p = c[i][j][2 * half], q = c[i][j][2 * half + 1];
#if EPILOGUE == EPILOGUE_RESIDUAL
                    float r, s;
                    lds2(centre + j * 8 * ES, r, s);
                    p += r;
                    q += s;
#endif
#if EPILOGUE != EPILOGUE_BIAS
                    p = leaky(p);
                    q = leaky(q);
#endif
#if LAYOUT == LAYOUT_CHANNELS_LAST
                    store2(to + j * 8, p, q);
#if OUT_TERMS == 2
                    store2(to + COUT + j * 8, rounding_residual(p), rounding_residual(q));
#endif
#else
                    auto plane = [&](int channel) { return dst + (long long)channel * a.oh * a.ow + pixel; };
                    *plane(n + j * 8) = to_elem(p);
                    *plane(n + j * 8 + 1) = to_elem(q);
#if OUT_TERMS == 2
                    *plane(COUT + n + j * 8) = to_elem(rounding_residual(p));
                    *plane(COUT + n + j * 8 + 1) = to_elem(rounding_residual(q));
#endif
#endif
                }
            }
        }
        __syncthreads();
#if RESIDENT && INPUT == INPUT_TENSOR && HALOS == 1
        if (tile + gridDim.x < total) {
            int item, oy, ox;
            origin(tile + gridDim.x, item, oy, ox);
            load_halo<IN_TERMS * CIN>(halos, input_of(item), a.h, a.w, oy, ox, 0);
        }
        copy_commit();
#endif
    }
    copy_wait<0>();
}
