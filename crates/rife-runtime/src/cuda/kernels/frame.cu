// Converts an uploaded RGB frame to the pixels that the network reads, with zeros in the padding.

extern "C" __global__ void kernel(const __grid_constant__ Args a) {
    wait_for_kernel_before();
    let_next_kernel_start();
    int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y;
    if (x >= a.full_w) return;
    float rgb[3] = {0.0f, 0.0f, 0.0f};
    u32 whole[3] = {0, 0, 0};
    if (x < a.frame_w && y < a.frame_h) {
        const char* from = (const char*)a.src + y * a.row + x * a.pixel;
#pragma unroll
        for (int c = 0; c < 3; c++, from += a.channel) {
            if (a.sample == SAMPLE_U8) {
                u32 v = *(const u8*)from;
                whole[c] = v * 257u;
                rgb[c] = (float)v / 255.0f;
            } else if (a.sample == SAMPLE_U16) {
                u32 v = *(const u16*)from;
                whole[c] = v;
                rgb[c] = (float)v / 65535.0f;
            } else {
                float v = a.sample == SAMPLE_F16 ? half_to_float(*(const u16*)from) : *(const float*)from;
                rgb[c] = fminf(fmaxf(v, 0.0f), 1.0f);
                whole[c] = __float2uint_rn(rgb[c] * 65535.0f);
            }
        }
    }
    char* pixel = (char*)a.dst + ((long long)y * a.full_w + x) * PIXEL_BYTES;
#if PRODUCTS == PRODUCTS_F16
    *(uint2*)pixel = make_uint2(whole[0] | whole[1] << 16, whole[2]);
#else
    *(float4*)pixel = make_float4(rgb[0], rgb[1], rgb[2], 0.0f);
#endif
}
