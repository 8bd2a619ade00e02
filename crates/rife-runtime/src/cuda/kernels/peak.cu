// Runs `h` rounds of tensor-core products, to measure the peak throughput.

extern "C" __global__ void __launch_bounds__(256) kernel(const __grid_constant__ Args a) {
    float c[16][4] = {};
    OperandA left;
#pragma unroll
    for (int i = 0; i < 4; i++) left.hi[i] = 0x2c002c00u + threadIdx.x;
#if PRODUCTS == PRODUCTS_3XTF32
#pragma unroll
    for (int i = 0; i < 4; i++) left.lo[i] = left.hi[i];
#endif
#pragma unroll 1
    for (int i = 0; i < a.h; i++) {
#pragma unroll
        for (int j = 0; j < 16; j++) multiply(c[j], left, left.hi[j & 3], left.hi[(j + 1) & 3]);
    }
    float sum = 0.0f;
#pragma unroll
    for (int j = 0; j < 16; j++) sum += c[j][0] + c[j][1] + c[j][2] + c[j][3];
    ((float*)a.dst)[blockIdx.x * blockDim.x + threadIdx.x] = sum;
}
