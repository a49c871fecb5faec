/* What follows cuda_emu.h in graft_dev.h on the CPU: what lanes of a warp do
 * together, conversions, asynchronous copies, tensor cores. */

typedef struct {
    unsigned char v[8];
    int bytes, with;
} EmuShuffle;

EMU_QUIET static void emu_shuffle_fn(EmuFiber *lane)
{
    unsigned char was[32][8];
    for (int i = 0; i < 32; i++)
        for (int j = 0; j < 8; j++)
            was[i][j] = ((EmuShuffle *)lane[i].give)->v[j];
    for (int i = 0; i < 32; i++) {
        EmuShuffle *s = lane[i].give;
        for (int j = 0; j < 8; j++)
            s->v[j] = was[i ^ s->with][j];
    }
}

EMU_QUIET static void emu_shuffle(const char *place, void *v, int bytes,
                                  int with)
{
    EmuShuffle s = {.bytes = bytes, .with = with};
    for (int i = 0; i < bytes; i++)
        s.v[i] = ((unsigned char *)v)[i];
    emu_meet(place, &s, emu_shuffle_fn);
    for (int i = 0; i < bytes; i++)
        ((unsigned char *)v)[i] = s.v[i];
}

typedef struct {
    u32 bits;
    int is;
} EmuBallot;

EMU_QUIET static void emu_ballot_fn(EmuFiber *lane)
{
    u32 bits = 0;
    for (int i = 0; i < 32; i++)
        bits |= (u32)(((EmuBallot *)lane[i].give)->is != 0) << i;
    for (int i = 0; i < 32; i++)
        ((EmuBallot *)lane[i].give)->bits = bits;
}

EMU_QUIET static u32 emu_ballot(const char *place, int is)
{
    EmuBallot b = {.is = is};
    emu_meet(place, &b, emu_ballot_fn);
    return b.bits;
}

#define EMU_TEXT_(x) #x
#define EMU_TEXT(x) EMU_TEXT_(x)
#define EMU_PLACE __FILE__ ":" EMU_TEXT(__LINE__)
#define __syncwarp() emu_syncwarp(EMU_PLACE)
#define __shfl_xor_sync(mask, v, with) \
    ({ \
        __typeof__(v) emu_v = (v); \
        emu_shuffle(EMU_PLACE, &emu_v, sizeof emu_v, with); \
        emu_v; \
    })
#define __ballot_sync(mask, is) emu_ballot(EMU_PLACE, is)
#define __popc(x) __builtin_popcount(x)
#define atomicAdd(p, v) __atomic_fetch_add(p, v, __ATOMIC_RELAXED)

DEVFN int max(int a, int b)
{
    return a > b ? a : b;
}

/* ---- conversions ---- */

DEVFN int float_bits(float a)
{
    union {
        float f;
        int i;
    } v = {a};
    return v.i;
}
DEVFN u64 double_bits(double a)
{
    union {
        double f;
        u64 i;
    } v = {a};
    return v.i;
}
DEVFN double bits_double(u64 a)
{
    union {
        u64 i;
        double f;
    } v = {a};
    return v.f;
}
DEVFN double sum_of(double a, double b)
{
    return a + b;
}
DEVFN double product_of(double a, double b)
{
    return a * b;
}
DEVFN float quotient(float a, float b)
{
    return a / b;
}
#define exponential expf
DEVFN float bf2f(bf16 a)
{
    union {
        u32 u;
        float f;
    } v = {(u32)a << 16};
    return v.f;
}
DEVFN bf16 f2bf(float a)
{
    u32 bits = (u32)float_bits(a);
    if (a != a)
        return 0x7fff;
    return (bf16)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}
DEVFN float h2f(f16 a)
{
    int e = a.bits >> 10 & 31, m = a.bits & 1023;
    float v = e == 31  ? (m ? NAN : INFINITY)
              : e == 0 ? ldexpf((float)m, -24)
                       : ldexpf((float)(m + 1024), e - 25);
    return a.bits & 0x8000 ? -v : v;
}
/* Scaled so that the wanted bits are whole; rounded to even. */
DEVFN f16 f2h(float a)
{
    unsigned short sign = signbit(a) ? 0x8000 : 0;
    float v = fabsf(a);
    int e;
    if (a != a)
        return (f16){0x7fff};
    if (v >= 65520.0f)
        return (f16){(unsigned short)(sign | 0x7c00)};
    frexpf(v, &e);
    e = e < -13 ? -13 : e; /* below 2^-14: all of one size */
    int m = (int)rintf(ldexpf(v, 11 - e)); /* 1024 .. 2048 if normal */
    return (f16){(unsigned short)(sign | (((e + 13) << 10) + m))};
}

/* ---- 16 bytes ---- */

static inline v16 load_16(const void *p, int ok)
{
    v16 r = {0, 0, 0, 0};
    if (ok && (uintptr_t)p % 16)
        emu_die("load_16: an address that 16 does not divide");
    if (ok)
        memcpy(&r, p, 16);
    return r;
}
#define load_once_16 load_16

/* ---- asynchronous copies ---- */

/* By the thread itself, so that who reads without a barrier is found. */
static inline void emu_land(const EmuCopy *c)
{
    if (c->ok)
        memcpy(c->dst, c->src, 16);
    else
        memset(c->dst, 0, 16);
}

static inline void cp_async_16(void *dst, const void *src, int ok)
{
    EmuFiber *f = emu.now;
    if (((uintptr_t)dst | (ok ? (uintptr_t)src : 0)) % 16)
        emu_die("cp_async_16: an address that 16 does not divide");
    if (f->ncopy == EMU_COPIES)
        emu_die("too many copies under way");
    EmuCopy c = {dst, src, ok, f->group};
    if (!emu.late) {
        emu_land(&c);
        return;
    }
    memset(dst, 0xff, 16); /* nobody may look yet */
    f->copy[f->ncopy++] = c;
}
static inline void cp_async_commit(void)
{
    emu.now->group++;
}
/* All but the last n groups land. */
static inline void cp_async_wait(int n)
{
    EmuFiber *f = emu.now;
    int left = 0;
    for (int i = 0; i < f->ncopy; i++) {
        EmuCopy *c = &f->copy[i];
        if ((int)(f->group - c->group) <= n)
            f->copy[left++] = *c;
        else
            emu_land(c);
    }
    f->ncopy = left;
}

/* ---- tensor cores ---- */

typedef struct {
    int mi, ni;
    float *acc;
    const u32 *a, *b;
} EmuMma;

EMU_QUIET static float emu_half(u32 pair, int i)
{
    return bf2f((bf16)(i ? pair >> 16 : pair));
}

enum { EMU_TILES = 8 };
typedef float EmuEight __attribute__((vector_size(32)));

/* A lane has rows lane / 4 and 8 more of a (16 x 16), row lane / 4 of b
 * (8 x 16), of which b[k] are the eight elements k. */
EMU_QUIET static void emu_operands(const EmuFiber *lane, float a[][16][16],
                                   EmuEight b[][16])
{
    for (int l = 0; l < 32; l++) {
        const EmuMma *m = lane[l].give;
        for (int h = 0; h < 8 * m->mi; h++) {
            int q = h / 2 % 4, k = l % 4 * 2 + q / 2 * 8 + h % 2;
            a[h / 8][l / 4 + q % 2 * 8][k] = emu_half(m->a[h / 2], h % 2);
        }
        for (int h = 0; h < 4 * m->ni; h++) {
            int k = l % 4 * 2 + h / 2 % 2 * 8 + h % 2;
            b[h / 4][k][l / 4] = emu_half(m->b[h / 2], h % 2);
        }
    }
}

/* acc (16 x 8) of tile i, j += a by b; a lane has rows lane / 4 and 8 more,
 * columns lane % 4 * 2 and the next. */
EMU_QUIET static void emu_mma_one(const EmuFiber *lane, float a[16][16],
                                  const EmuEight *b, int tile)
{
    EmuEight sum[16];
    for (int row = 0; row < 16; row++) {
        EmuEight s = {0};
        for (int k = 0; k < 16; k++)
            s += a[row][k] * b[k];
        sum[row] = s;
    }
    for (int l = 0; l < 32; l++) {
        float *acc = ((const EmuMma *)lane[l].give)->acc + tile * 4;
        for (int q = 0; q < 4; q++)
            acc[q] += sum[l / 4 + q / 2 * 8][l % 4 * 2 + q % 2];
    }
}

EMU_QUIET static void emu_mma_fn(EmuFiber *lane)
{
    static float a[EMU_TILES][16][16];
    static EmuEight b[EMU_TILES][16];
    const EmuMma *m = lane->give;
    if (m->mi > EMU_TILES || m->ni > EMU_TILES)
        emu_die("mma_tile: too many tiles");
    emu_operands(lane, a, b);
    for (int i = 0; i < m->mi; i++)
        for (int j = 0; j < m->ni; j++)
            emu_mma_one(lane, a[i], b[j], i * m->ni + j);
}

EMU_QUIET __attribute__((unused)) static void
mma_tile(int mi, int ni, float *acc, const u32 *a, const u32 *b)
{
    EmuMma m = {mi, ni, acc, a, b};
    emu_meet("mma_tile", &m, emu_mma_fn);
}

/* ---- matrices of shared memory ---- */

typedef struct {
    const char *row, *from[4];
} EmuRows;

EMU_QUIET static void emu_rows_fn(EmuFiber *lane)
{
    for (int l = 0; l < 32; l++)
        for (int i = 0; i < 4; i++) {
            const EmuRows *of = lane[i * 8 + l / 4].give;
            ((EmuRows *)lane[l].give)->from[i] = of->row + l % 4 * 4;
        }
}

/* Each lane reads its own words, so that a missing barrier is found. */
__attribute__((unused)) static void ldmatrix_x4(u32 *to, const void *row)
{
    EmuRows r = {row, {0}};
    if ((uintptr_t)row % 16)
        emu_die("ldmatrix_x4: an address that 16 does not divide");
    emu_meet("ldmatrix_x4", &r, emu_rows_fn);
    for (int i = 0; i < 4; i++)
        to[i] = *(const u32 *)(const void *)r.from[i];
}
