// Hopper's asynchronous tensor-core instructions (`wgmma`), which read both operands from shared
// memory, and the barriers in shared memory that order copies. `NT` is the number of columns of a
// product.

#define CHUNKS (NT / 8)

// The descriptor of a matrix in shared memory: its address, and the strides of its core matrices
// along the channels and along the pixels (or columns), in units of 16 bytes. A core matrix is
// eight pixels or columns of 16 bytes of channels.
__device__ __forceinline__ u64 descriptor(u32 at, u32 along_k, u32 along_m) {
    u64 v;
    asm("mov.b64 %0, {%1, %2};" : "=l"(v) : "r"((at >> 4) | along_k << 16), "r"(along_m));
    return v;
}

#define SUMS8(i) "+f"(c[i][0]), "+f"(c[i][1]), "+f"(c[i][2]), "+f"(c[i][3]), "+f"(c[i + 1][0]), "+f"(c[i + 1][1]), "+f"(c[i + 1][2]), "+f"(c[i + 1][3])
#define NAMES0 "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15"
#define NAMES1 "%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31"
#define NAMES2 "%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47"
#define NAMES3 "%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63"
#define WGMMA(columns, names, left, right, ...)                                                                                              \
    asm volatile("wgmma.mma_async.sync.aligned.m64n" columns "k16.f32.f16.f16 {" names "}, %" left ", %" right ", 1, 1, 1, 0, 0;\n" : __VA_ARGS__ \
                 : "l"(a), "l"(b))

// Adds the products of 64 pixels and NT columns over 16 channels, asynchronously until
// `group_wait`. A thread holds the same sums as with `mma.sync`.
__device__ __forceinline__ void group_multiply(float (&c)[CHUNKS][4], u64 a, u64 b) {
#if NT == 32
    WGMMA("32", NAMES0, "16", "17", SUMS8(0), SUMS8(2));
#elif NT == 64
    WGMMA("64", NAMES0 "," NAMES1, "32", "33", SUMS8(0), SUMS8(2), SUMS8(4), SUMS8(6));
#elif NT == 96
    WGMMA("96", NAMES0 "," NAMES1 "," NAMES2, "48", "49", SUMS8(0), SUMS8(2), SUMS8(4), SUMS8(6), SUMS8(8), SUMS8(10));
#elif NT == 128
    WGMMA("128", NAMES0 "," NAMES1 "," NAMES2 "," NAMES3, "64", "65", SUMS8(0), SUMS8(2), SUMS8(4), SUMS8(6), SUMS8(8), SUMS8(10), SUMS8(12), SUMS8(14));
#endif
}

// Required before the first product, once the sums are in their registers.
__device__ __forceinline__ void group_begin() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }

// Keeps the sums in their registers: prevents the compiler from moving accesses to them across this
// point.
template <int N> __device__ __forceinline__ void keep_in_registers(float (&c)[N][CHUNKS][4]) {
#pragma unroll
    for (int i = 0; i < N; i++)
#pragma unroll
        for (int j = 0; j < CHUNKS; j++)
#pragma unroll
            for (int k = 0; k < 4; k++) asm volatile("" : "+f"(c[i][j][k])::"memory");
}

__device__ __forceinline__ void group_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }

// Waits for all committed products.
__device__ __forceinline__ void group_wait() { asm volatile("wgmma.wait_group.sync.aligned 0;" ::: "memory"); }

// Makes writes to shared memory visible to the tensor cores.
__device__ __forceinline__ void fence_async_proxy() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }

__device__ __forceinline__ void barrier_init(u32 barrier, u32 count) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(count) : "memory");
}

__device__ __forceinline__ void barrier_arrive(u32 barrier) {
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier) : "memory");
}

// Arrives at the barrier and copies `bytes` from global memory; the barrier also waits for the
// copy.
__device__ __forceinline__ void barrier_copy(u32 barrier, u32 to, const void* from, u32 bytes) {
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes) : "memory");
    asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(to), "l"(from), "r"(bytes), "r"(barrier) : "memory");
}

// Whether the barrier's phase of this parity has completed.
__device__ __forceinline__ bool barrier_done(u32 barrier, u32 parity) {
    u32 done;
    asm volatile(
        "{\n"
        ".reg .pred done;\n"
        "mbarrier.test_wait.parity.shared::cta.b64 done, [%1], %2;\n"
        "selp.u32 %0, 1, 0, done;\n"
        "}\n"
        : "=r"(done)
        : "r"(barrier), "r"(parity)
        : "memory");
    return done;
}

// Waits until the barrier's phase of this parity has completed.
__device__ __forceinline__ void barrier_wait(u32 barrier, u32 parity) {
    asm volatile(
        "{\n"
        ".reg .pred done;\n"
        "again:\n"
        "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
        "@!done bra again;\n"
        "}\n" ::"r"(barrier), "r"(parity) : "memory");
}
