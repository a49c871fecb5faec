/* graft_dev.h on the device: what the kernels use that is not plain C. Each
 * instruction beyond CUDA C stands behind one function here; the emulator has
 * functions of the same names. */
#pragma once
typedef unsigned short bf16; /* in memory only: arithmetic is f32 */
typedef struct {
    unsigned short bits;
} f16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long i64;
typedef struct {
    u32 x, y, z, w;
} __attribute__((aligned(16))) v16; /* one access */

#define GRAFT_KERNEL(threads, blocks) \
    extern "C" __global__ void __launch_bounds__(threads, blocks)
#define DEVFN static __device__ __forceinline__
#define DYN_SMEM(p) \
    extern __shared__ __attribute__((aligned(128))) unsigned char p[]
#define UNROLL _Pragma("unroll")
#define INFINITE __int_as_float(0x7f800000)
#define NOT_A_NUMBER __int_as_float(0x7fffffff)

DEVFN int float_bits(float a)
{
    return __float_as_int(a);
}
DEVFN u64 double_bits(double a)
{
    return (u64)__double_as_longlong(a);
}
DEVFN double bits_double(u64 a)
{
    return __longlong_as_double((i64)a);
}
DEVFN double sum_of(double a, double b) /* never part of an fma */
{
    return __dadd_rn(a, b);
}
DEVFN double product_of(double a, double b)
{
    return __dmul_rn(a, b);
}
DEVFN float bf2f(bf16 a)
{
    return __uint_as_float((u32)a << 16);
}
DEVFN bf16 f2bf(float a)
{
    u32 both;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(0.0f), "f"(a));
    return (bf16)both;
}
DEVFN float h2f(f16 a)
{
    float f;
    asm("cvt.f32.f16 %0, %1;" : "=f"(f) : "h"(a.bits));
    return f;
}
DEVFN f16 f2h(float a)
{
    f16 h;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(h.bits) : "f"(a));
    return h;
}

/* Within 2 ulp, without a call; a quotient by more than 2^126 is 0. */
#define quotient __fdividef
#define exponential __expf

/* 16 bytes of memory; zeros if not ok, and p is not read. A plain copy of a v16
 * becomes four accesses. Of `once` nothing stays in the first cache. */
#define LOAD_16(name, how) \
    DEVFN v16 name(const void *p, int ok) \
    { \
        v16 r; \
        asm volatile("{\n.reg .pred q;\nsetp.ne.b32 q, %5, 0;\n" \
                     "mov.u32 %0, 0;\nmov.u32 %1, 0;\n" \
                     "mov.u32 %2, 0;\nmov.u32 %3, 0;\n" \
                     "@q ld.global.nc" how ".v4.u32 {%0,%1,%2,%3}, [%4];\n}" \
                     : "=&r"(r.x), "=&r"(r.y), "=&r"(r.z), "=&r"(r.w) \
                     : "l"(p), "r"(ok)); \
        return r; \
    }
LOAD_16(load_16, "")
LOAD_16(load_once_16, ".L1::no_allocate.L2::128B")

/* 16 bytes into shared memory; zeros if not ok, and src is not read. They are
 * there after a wait that leaves fewer groups open than were committed since,
 * for others after a barrier too. */
DEVFN void cp_async_16(void *dst, const void *src, int ok)
{
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(
                     (u32)__cvta_generic_to_shared(dst)),
                 "l"(src), "r"(ok ? 16 : 0)
                 : "memory");
}
DEVFN void cp_async_commit(void)
{
    asm volatile("cp.async.commit_group;" ::: "memory");
}
#define cp_async_wait(n) \
    asm volatile("cp.async.wait_group %0;" ::"n"(n) : "memory")

/* Four matrices of 8 rows by 8 elements in shared memory: lane l says where row
 * l % 8 of matrix l / 8 begins, and gets of each elements l % 4 * 2 and the
 * next of row l / 4. */
DEVFN void ldmatrix_x4(u32 *to, const void *row)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 "
                 "{%0,%1,%2,%3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"((u32)__cvta_generic_to_shared(row))
                 : "memory");
}
/* acc[4] += a (16 x 16) by b (8 x 16): see fragment_16x16 */
DEVFN void mma_16x8x16_bf16(float *acc, const u32 *a, const u32 *b)
{
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
        "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(acc[0]), "+f"(acc[1]), "+f"(acc[2]), "+f"(acc[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
/* acc[mi][ni][4] += a[mi][4] by b[ni][2], mi and ni constant. */
DEVFN void mma_tile(int mi, int ni, float *acc, const u32 *a, const u32 *b)
{
    UNROLL for (int i = 0; i < mi; i++)
        UNROLL for (int j = 0; j < ni; j++)
            mma_16x8x16_bf16(acc + (i * ni + j) * 4, a + i * 4, b + j * 2);
}
