// Included in every kernel. No CUDA headers are needed: half precision and tensor cores are used
// through inline PTX. The structures mirror those of `abi.rs`.

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

#if PRODUCTS == PRODUCTS_F16
typedef u16 elem; // IEEE half, as bits
#define ES 2
#else
typedef float elem;
#define ES 4
#endif

// The number of F16 values that represent each number of the input and the output: 1, or 2 (the
// rounded number and its rounding residual). Within a pixel, residuals follow all rounded values.
#ifndef IN_TERMS
#define IN_TERMS 1
#endif
#ifndef OUT_TERMS
#define OUT_TERMS 1
#endif

// Channels of one tensor-core step: 32 bytes of a pixel, in any precision.
#define KC (32 / ES)
// Elements of 16 bytes.
#define E16 (16 / ES)

// The output of one block at its own resolution: flow in px of the frame, mask before the sigmoid,
// and the feature that the next block reads.
struct Level {
    const float4* flow;
    const float* mask;
    const void* feat;
    int h, w;
};

// One frame to interpolate. Items are in device memory, so that a CUDA graph can be reused.
struct Item {
    const char* image0;
    const char* image1;
    char* out;
    float t;
    int sample;         // SAMPLE_*, the type of the samples of `out`
    long long row;      // bytes from one row of `out` to the next
    long long pixel;    // bytes from one pixel of `out` to the next
    long long channel;  // bytes from one channel of `out` to the next
};

struct Items {
    Item* to;
    int count;
    int unused;
    Item item[MAX_ITEMS];
};

struct Args {
    const void* src;
    void* dst;
    const void* weights;
    const float* bias;
    const Item* items;
    float4* flow;
    float* mask;
    void* feat;
    const void* residual;
    Level level[MAX_LEVELS];
    int h, w;             // of the input
    int oh, ow;           // of the output
    int tiles_x, tiles;   // across, and of one item
    int batch;
    float divisor;        // of the block
    int full_h, full_w;   // of the padded frame
    int frame_h, frame_w; // of the frame itself
    int sample;           // SAMPLE_*, the type of the samples of an uploaded frame
    int step;             // items per frame: 2 with the ensemble
    long long row;        // bytes, of an uploaded frame, as in `Item`
    long long pixel;
    long long channel;
};

// Programmatic dependent launch: a kernel may start while the previous one runs. It waits here for
// the previous kernel to finish before it accesses that kernel's output. It may read weights
// earlier.
__device__ __forceinline__ void wait_for_kernel_before() {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

__device__ __forceinline__ void let_next_kernel_start() {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;" :::);
#endif
}

__device__ __forceinline__ u32 smem_addr(const void* p) {
    return (u32)__cvta_generic_to_shared(p);
}

// Copies 16 bytes from global to shared memory, or zeros if not `valid`.
__device__ __forceinline__ void copy16(u32 to, const void* from, bool valid) {
    int bytes = valid ? 16 : 0;
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;\n" ::"r"(to), "l"(from), "r"(bytes));
}

__device__ __forceinline__ void copy_commit() { asm volatile("cp.async.commit_group;\n" ::); }

template <int N> __device__ __forceinline__ void copy_wait() {
    asm volatile("cp.async.wait_group %0;\n" ::"n"(N) : "memory");
}

__device__ __forceinline__ void ldmatrix4(u32 (&a)[4], u32 addr) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];\n"
                 : "=r"(a[0]), "=r"(a[1]), "=r"(a[2]), "=r"(a[3])
                 : "r"(addr));
}

__device__ __forceinline__ uint2 lds64(u32 addr) {
    uint2 v;
    asm volatile("ld.shared.v2.u32 {%0,%1}, [%2];\n" : "=r"(v.x), "=r"(v.y) : "r"(addr));
    return v;
}

// Two floats as two F16 values, the first in the low bits.
__device__ __forceinline__ u32 pack_half2(float lo, float hi) {
    u32 v;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(v) : "f"(hi), "f"(lo));
    return v;
}

__device__ __forceinline__ float half_to_float(u16 h) {
    float f;
    asm("cvt.f32.f16 %0, %1;" : "=f"(f) : "h"(h));
    return f;
}

__device__ __forceinline__ u16 float_to_half(float f) {
    u16 h;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(h) : "f"(f));
    return h;
}

__device__ __forceinline__ void unpack_half2(u32 v, float& lo, float& hi) {
    lo = half_to_float((u16)(v & 0xffffu));
    hi = half_to_float((u16)(v >> 16));
}

__device__ __forceinline__ float leaky(float x) { return fmaxf(x, x * SLOPE); }

#if PRODUCTS == PRODUCTS_F16
__device__ __forceinline__ float to_float(elem v) { return half_to_float(v); }
__device__ __forceinline__ elem to_elem(float v) { return float_to_half(v); }
#else
__device__ __forceinline__ float to_float(elem v) { return v; }
__device__ __forceinline__ elem to_elem(float v) { return v; }
#endif

// The F16 rounding residual of a number; 0 if the number is outside the range of F16.
__device__ __forceinline__ float rounding_residual(float v) {
    return fabsf(v) <= 65504.0f ? v - to_float(to_elem(v)) : 0.0f;
}

// Two adjacent channels at once.
__device__ __forceinline__ void store2(elem* p, float a, float b) {
#if PRODUCTS == PRODUCTS_F16
    *(u32*)p = pack_half2(a, b);
#else
    *(float2*)p = make_float2(a, b);
#endif
}

__device__ __forceinline__ void load2(const elem* p, float& a, float& b) {
#if PRODUCTS == PRODUCTS_F16
    unpack_half2(*(const u32*)p, a, b);
#else
    float2 v = *(const float2*)p;
    a = v.x;
    b = v.y;
#endif
}

// The same, from shared memory.
__device__ __forceinline__ void lds2(u32 addr, float& a, float& b) {
#if PRODUCTS == PRODUCTS_F16
    u32 v;
    asm volatile("ld.shared.u32 %0, [%1];\n" : "=r"(v) : "r"(addr));
    unpack_half2(v, a, b);
#else
    asm volatile("ld.shared.v2.f32 {%0,%1}, [%2];\n" : "=f"(a), "=f"(b) : "r"(addr));
#endif
}

#if PRODUCTS == PRODUCTS_F16
__device__ __forceinline__ void mma(float (&c)[4], const u32 (&a)[4], u32 b0, u32 b1) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};\n"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
#elif PRODUCTS == PRODUCTS_3XBF16
// The hi/lo split of two floats to BF16: both rounded, the first in the low bits, and both
// residuals.
__device__ __forceinline__ void split2(float first, float second, u32& rounded, u32& residuals) {
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(rounded) : "f"(second), "f"(first));
    first -= __uint_as_float(rounded << 16);
    second -= __uint_as_float(rounded & 0xffff0000u);
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(residuals) : "f"(second), "f"(first));
}

__device__ __forceinline__ void mma(float (&c)[4], const u32 (&a)[4], u32 b0, u32 b1) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};\n"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

__device__ __forceinline__ void mma(float (&c)[4], u32 a0, u32 a1, u32 b) {
    asm("mma.sync.aligned.m16n8k8.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};\n"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a0), "r"(a1), "r"(b));
}
#else
__device__ __forceinline__ void mma_tf32(float (&c)[4], const u32 (&a)[4], u32 b0, u32 b1) {
    asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};\n"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
#endif

// Operand A of one step, as the tensor cores read it. For 3xBF16, each register holds channels `t`
// and `t + 4` of the step: two registers of rounded values, and two of residuals.
struct OperandA {
    u32 hi[4];
#if PRODUCTS == PRODUCTS_3XTF32
    u32 lo[4];
#endif
};

// The hi/lo split of a float to TF32: together as accurate as F32.
__device__ __forceinline__ void split(u32 v, u32& hi, u32& lo) {
    hi = (v + 0x1000u) & 0xffffe000u;
    lo = __float_as_uint(__uint_as_float(v) - __uint_as_float(hi)) + 0x1000u;
}

__device__ __forceinline__ void load_a(OperandA& a, u32 addr) {
    ldmatrix4(a.hi, addr);
#if PRODUCTS == PRODUCTS_3XBF16 && (!defined(INPUT) || INPUT == INPUT_TENSOR)
    // An input that this kernel computed is already split in shared memory.
    u32 v[4] = {a.hi[0], a.hi[1], a.hi[2], a.hi[3]};
#pragma unroll
    for (int i = 0; i < 2; i++) split2(__uint_as_float(v[i]), __uint_as_float(v[i + 2]), a.hi[i], a.hi[i + 2]);
#elif PRODUCTS == PRODUCTS_TF32
    // Tensor cores truncate the mantissa. Adding half a unit in the last place rounds it instead.
#pragma unroll
    for (int i = 0; i < 4; i++) a.hi[i] += 0x1000u;
#elif PRODUCTS == PRODUCTS_3XTF32
#pragma unroll
    for (int i = 0; i < 4; i++) split(a.hi[i], a.hi[i], a.lo[i]);
#endif
}

__device__ __forceinline__ void multiply(float (&c)[4], const OperandA& a, u32 b0, u32 b1) {
#if PRODUCTS == PRODUCTS_F16
    mma(c, a.hi, b0, b1);
#elif PRODUCTS == PRODUCTS_TF32
    mma_tf32(c, a.hi, b0, b1);
#elif PRODUCTS == PRODUCTS_3XBF16
    // A step of 16 has both parts of operand A. The weights are packed in the same way.
    mma(c, a.hi[0], a.hi[1], b1);
    mma(c, a.hi, b0, b0);
#else
    u32 h0, l0, h1, l1;
    split(b0, h0, l0);
    split(b1, h1, l1);
    mma_tf32(c, a.lo, h0, h1);
    mma_tf32(c, a.hi, l0, l1);
    mma_tf32(c, a.hi, h0, h1);
#endif
}
