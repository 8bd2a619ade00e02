// A 3x3 convolution with stride 1 and padding 1 that uses `wgmma`. A producer warpgroup loads tiles
// with their borders into a ring of `HALOS` buffers. `WARPGROUPS` consumer warpgroups multiply and
// store tiles in turn, so that the tensor cores work on one tile while another is stored. Blocks
// are persistent and keep their weights in shared memory.
//
// A tile is stored in planes of eight channels, 16 bytes per pixel: eight adjacent pixels in a row
// are a core matrix, the rows of a square of 8x8 pixels have a constant stride, and a tap is an
// offset. The order of every sum is that of `conv.cu`, and so is the result.

#define CONSUMERS (WARPGROUPS * 128)
#define PRODUCERS 128
#define THREADS (CONSUMERS + PRODUCERS)
#define HALO_H (TH + 2)
#define HALO_W (TW + 2)
#define PLANE ((HALO_H * HALO_W + 6) / 8 * 8 + 1) // pixels; odd, to avoid bank conflicts between planes
#define HALO_BYTES ((PLANE * CIN * 2 + 127) / 128 * 128)
#define WORDS (CIN / 8) // 16-byte words of a pixel
#define STEPS (CIN / 16)
#define PART_STEPS (KP / 16)
#define SLABS (9 * CIN / KP)
#define WEIGHT_BYTES (9 * CIN * NT * 2)
#define SQUARES_ACROSS (TW / 8)
#define SQUARES (TH / 8 * SQUARES_ACROSS)

// A warpgroup that waits for a buffer two rounds of the ring ahead could not distinguish that round
// from the current one: barriers have only a parity.
static_assert(WARPGROUPS <= HALOS, "more warpgroups than inputs");

// Transposes among four lanes: each lane starts with two adjacent channels of each of four chunks
// of eight channels, and ends with one whole chunk.
__device__ __forceinline__ uint4 gather_chunk(u32 v0, u32 v1, u32 v2, u32 v3, int t) {
    bool odd = t & 1, high = t & 2;
    u32 p = __shfl_xor_sync(~0u, odd ? v0 : v1, 1), q = __shfl_xor_sync(~0u, odd ? v2 : v3, 1);
    if (odd) v0 = p, v2 = q;
    else v1 = p, v3 = q;
    p = __shfl_xor_sync(~0u, high ? v0 : v2, 2), q = __shfl_xor_sync(~0u, high ? v1 : v3, 2);
    return high ? make_uint4(p, q, v2, v3) : make_uint4(v0, v1, p, q);
}

extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS) kernel(const __grid_constant__ Args a) {
    extern __shared__ __align__(128) char shared[];
    u32 weights = smem_addr(shared);
    u32 halos = weights + WEIGHT_BYTES;
    u32 barriers = halos + HALOS * HALO_BYTES;
    auto full = [&](int slot) { return barriers + slot * 8; };
    auto empty = [&](int slot) { return barriers + (HALOS + slot) * 8; };
    auto turn = [&](int group) { return barriers + (2 * HALOS + group) * 8; };
    u32 weights_ready = barriers + (2 * HALOS + WARPGROUPS) * 8;
    int n0 = blockIdx.y * NT;
    int total = a.tiles * a.batch;

    let_next_kernel_start();
    if (threadIdx.x == 0) {
#pragma unroll 1
        for (int i = 0; i < HALOS; i++) {
            barrier_init(full(i), PRODUCERS);
            barrier_init(empty(i), 128);
        }
#pragma unroll 1
        for (int i = 0; i < WARPGROUPS; i++) barrier_init(turn(i), 4);
        barrier_init(weights_ready, 1);
        asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
        barrier_copy(weights_ready, weights, (const char*)a.weights + (long long)n0 * (9 * CIN * 2), WEIGHT_BYTES);
    }
    __syncthreads();
    wait_for_kernel_before();

    int group = __shfl_sync(~0u, threadIdx.x / 128, 0);
    if (group == WARPGROUPS) {
        // Adjacent threads copy adjacent words. A thread copies the same word of several pixels.
        constexpr int FETCHING = PRODUCERS / WORDS * WORDS;
        int thread = threadIdx.x - CONSUMERS;
        int word = thread % WORDS, first = thread < FETCHING ? thread / WORDS : HALO_H * HALO_W;
        int slot = 0, parity = 1, fetched = -1;
        // Publishes the last loaded tile, once no other load can be started.
        auto publish = [&] {
            fence_async_proxy();
            barrier_arrive(full(fetched));
            fetched = -1;
        };
#pragma unroll 1
        for (int tile = blockIdx.x; tile < total; tile += gridDim.x) {
            int item = tile / a.tiles, in_item = tile % a.tiles;
            int y0 = in_item / a.tiles_x * TH - 1, x0 = in_item % a.tiles_x * TW - 1;
            const elem* src = (const elem*)a.src + (long long)item * a.h * a.w * CIN + word * 8;
            u32 to = halos + slot * HALO_BYTES + word * PLANE * 16;
            if (fetched >= 0 && !barrier_done(empty(slot), parity)) {
                copy_wait<0>();
                publish();
            }
            barrier_wait(empty(slot), parity);
#pragma unroll 4
            for (int pixel = first; pixel < HALO_H * HALO_W; pixel += PRODUCERS / WORDS) {
                int y = y0 + pixel / HALO_W, x = x0 + pixel % HALO_W;
                bool valid = (unsigned)y < (unsigned)a.h && (unsigned)x < (unsigned)a.w;
                copy16(to + pixel * 16, valid ? src + (long long)(y * a.w + x) * CIN : src, valid);
            }
            copy_commit();
            if (fetched >= 0) {
                copy_wait<1>();
                publish();
            }
            fetched = slot;
            // Every consumer waits for the first tile.
            if (tile == blockIdx.x) {
                copy_wait<0>();
                publish();
            }
            if (++slot == HALOS) {
                slot = 0;
                parity ^= 1;
            }
        }
        if (fetched >= 0) {
            copy_wait<0>();
            publish();
        }
    } else {
        int lane = threadIdx.x & 31, warp = threadIdx.x / 32 % 4, t = lane & 3;
        barrier_wait(weights_ready, 0);
        // Warpgroups take the tiles of the block in turn.
        int number = group;
#pragma unroll 1
        for (int tile = blockIdx.x + group * gridDim.x; tile < total; tile += WARPGROUPS * gridDim.x, number += WARPGROUPS) {
            int item = tile / a.tiles, in_item = tile % a.tiles;
            int oy = in_item / a.tiles_x * TH, ox = in_item % a.tiles_x * TW;
            int slot = number % HALOS;
            u32 halo = halos + slot * HALO_BYTES;
            float c[SQUARES][CHUNKS][4];
#pragma unroll
            for (int j = 0; j < CHUNKS; j++) {
                float2 bias = __ldg((const float2*)(a.bias + n0 + j * 8 + t * 2));
#pragma unroll
                for (int i = 0; i < SQUARES; i++) {
                    c[i][j][0] = c[i][j][2] = bias.x;
                    c[i][j][1] = c[i][j][3] = bias.y;
                }
            }
            barrier_wait(full(slot), number / HALOS & 1);
#if EPILOGUE == EPILOGUE_RESIDUAL
            // Load the residual now, since the tensor cores will use the bandwidth of shared memory
            // later. A warp has two rows of a square, of eight pixels each.
            u32 residual[SQUARES][2][CHUNKS / 4][4];
#pragma unroll
            for (int i = 0; i < SQUARES; i++)
#pragma unroll
                for (int half = 0; half < 2; half++) {
                    int y = i / SQUARES_ACROSS * 8 + warp * 2 + half + 1, x = i % SQUARES_ACROSS * 8 + (lane & 7) + 1;
#pragma unroll
                    for (int j = 0; j < CHUNKS / 4; j++)
                        ldmatrix4(residual[i][half][j], halo + ((n0 / 8 + j * 4 + (lane >> 3)) * PLANE + y * HALO_W + x) * 16);
                }
#endif
#if WARPGROUPS > 1
            // The first tile has no predecessor.
            if (number > 0) barrier_wait(turn(group), (group > 0 ? number / WARPGROUPS : number / WARPGROUPS - 1) & 1);
#endif
            keep_in_registers(c);
            group_begin();
            u64 left = descriptor(halo, PLANE, HALO_W), right = descriptor(weights, 8, 9 * CIN);
#pragma unroll
            for (int i = 0; i < SQUARES; i++) {
                int first = (i / SQUARES_ACROSS * HALO_W + i % SQUARES_ACROSS) * 8;
#pragma unroll
                for (int slab = 0; slab < SLABS; slab++) {
                    int tap = slab % 9, part = slab / 9;
#pragma unroll
                    for (int k = 0; k < PART_STEPS; k++) {
                        int step = part * PART_STEPS + k;
                        group_multiply(c[i], left + (first + tap / 3 * HALO_W + tap % 3 + step * 2 * PLANE), right + (tap * STEPS + step) * 16);
                    }
                }
            }
            group_commit();
#if WARPGROUPS > 1
            __syncwarp();
            if (lane == 0 && tile + gridDim.x < total) barrier_arrive(turn(group + 1 < WARPGROUPS ? group + 1 : 0));
#endif
            group_wait();
            keep_in_registers(c);
            // Every thread arrives. One per warp would suffice, but racecheck would not recognize
            // it, and it would not be faster.
            barrier_arrive(empty(slot));
            elem* dst = (elem*)a.dst + (long long)item * a.oh * a.ow * COUT;
#pragma unroll
            for (int i = 0; i < SQUARES; i++) {
#pragma unroll
                for (int half = 0; half < 2; half++) {
                    int py = i / SQUARES_ACROSS * 8 + warp * 2 + half, px = i % SQUARES_ACROSS * 8;
                    int y = oy + py, x = ox + px + (lane >> 2);
                    bool valid = y < a.oh && x < a.ow;
                    elem* to = dst + ((long long)y * a.ow + x) * COUT + n0 + t * 8;
#pragma unroll
                    for (int j = 0; j < CHUNKS / 4; j++) {
                        u32 v[4];
#pragma unroll
                        for (int k = 0; k < 4; k++) {
                            float p = c[i][j * 4 + k][2 * half], q = c[i][j * 4 + k][2 * half + 1];
#if EPILOGUE == EPILOGUE_RESIDUAL
                            float r, s;
                            unpack_half2(residual[i][half][j][k], r, s);
                            p += r;
                            q += s;
#endif
#if EPILOGUE != EPILOGUE_BIAS
                            p = leaky(p);
                            q = leaky(q);
#endif
                            v[k] = pack_half2(p, q);
                        }
                        uint4 out = gather_chunk(v[0], v[1], v[2], v[3], t);
                        if (valid) *(uint4*)(to + j * 32) = out;
                    }
                }
            }
        }
    }
}
