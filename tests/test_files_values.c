/* Values read from tensors: every block type bit for bit, conversions, any
 * range, unaligned data; .npy written and read. */
#include "tests/files_util.h"
#include <math.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- blocks against the values beside them ---- */

static const char *const block_types[] = {"F32",  "F16",  "BF16", "Q8_0",
                                          "Q4_0", "Q4_1", "Q5_0", "Q5_1",
                                          "Q4_K", "Q5_K", "Q6_K"};

static void blocks(void **state)
{
    const char *type = *state;
    const char *gguf = shared(intern_printf("gguf_blocks/%s.gguf", type));
    if (!gguf)
        skip();
    Err err;
    int rank;
    int64_t shape[MAX_RANK], n;
    float *want = npy_read_f32(shared(intern_printf("gguf_blocks/%s.npy",
                                                    type)), &rank, shape,
                               &err);
    assert_non_null(want);
    assert_int_equal(rank, 2);
    Checkpoint *c = open_good(gguf);
    float *got = values(c, "t.weight", &n);
    assert_int_equal(n, shape[0] * shape[1]);
    for (int64_t i = 0; i < n; i++)
        if (bits_of_f32(got[i]) != bits_of_f32(want[i]))
            fail_msg("%s: element %lld is %a, should be %a", type,
                     (long long)i, (double)got[i], (double)want[i]);
    free(got);
    free(want);
    checkpoint_close(c);
}

/* A part of a quantised tensor is that part of the whole, in every type. */
static void block_ranges(void **state)
{
    (void)state;
    const char *gguf = shared("gguf_blocks/Q4_K.gguf");
    if (!gguf)
        skip();
    Checkpoint *c = open_good(gguf);
    const FileTensor *t = checkpoint_find(c, "t.weight");
    static const int at[] = {0, 1, 255, 256, 257, 511, 512, 1000, 3071};
    static const int len[] = {0, 1, 2, 255, 256, 300, 1024, 1500};
    static float all[3072], part[3072];
    static uint16_t half[3072];
    tensor_read_all(t, TYPE_f32, all);
    for (size_t i = 0; i < COUNT(at); i++)
        for (size_t k = 0; k < COUNT(len); k++) {
            if (at[i] + len[k] > 3072)
                continue;
            tensor_read(t, at[i], len[k], TYPE_f32, part);
            assert_memory_equal(part, all + at[i], (size_t)len[k] * 4);
            tensor_read(t, at[i], len[k], TYPE_bf16, half);
            for (int j = 0; j < len[k]; j++)
                assert_int_equal(half[j], bf16_of_f32(all[at[i] + j]));
        }
    checkpoint_close(c);
}

/* Rows put in order stay quantised where that is asked for. */
static void permuted_blocks(void **state)
{
    (void)state;
    static const Dtype types[] = {TYPE_q8_0, TYPE_q4_1, TYPE_q6_k};
    enum { ROWS = 12, WIDTH = 512, N = ROWS * WIDTH };
    static uint8_t raw[ROWS * WIDTH * 2], part[sizeof raw];
    static float want[N], got[N];
    for (size_t i = 0; i < sizeof raw; i++)
        raw[i] = (uint8_t)(i * 2654435761u >> 13) & 0x3f; /* no NaN */
    for (size_t i = 0; i < 2 * COUNT(types); i++) {
        Dtype t = types[i / 2];
        const FileTensor f = {
            .info = {.name = "q", .dtype = t, .rank = 2,
                     .shape = {ROWS, WIDTH}, .data = raw},
            .rows = i % 2 ? ROWS_paired : ROWS_by_part, .heads = 2};
        tensor_read_all(&f, TYPE_f32, want);
        assert_memory_not_equal(want, want + WIDTH, WIDTH * 4);
        for (int first = 0; first < N; first += 5 * 256) {
            int n = N - first < 5 * 256 ? N - first : 5 * 256;
            tensor_read(&f, first, n, t, part);
            widen_f32(t, part, n, got);
            assert_memory_equal(got, want + first, (size_t)n * 4);
        }
        assert_null(tensor_in_place(&f, t));
    }
}

/* Codes are off by half of one, and by what f16 does to the scale; 4 bits are
 * no worse than the plain way from the least to the largest. */
static void made_blocks(void **state)
{
    (void)state;
    enum { N = 32 * 100 };
    static float x[N], got[N];
    static uint8_t raw[N * 2];
    for (int i = 0; i < N; i++)
        x[i] = (float)((i * 7919LL + i / 32 * 131) % 2003 - 900) / 32768.0f *
               (float)(i / 320);
    for (int four = 0; four < 2; four++) {
        Dtype t = four ? TYPE_q4_1 : TYPE_q8_0;
        quantise_f32(t, x, N, raw);
        widen_f32(t, raw, N, got);
        for (int b = 0; b < N; b += 32) {
            float least = x[b], most = x[b];
            double error = 0, plain = 0;
            for (int i = b; i < b + 32; i++) {
                least = fminf(least, x[i]);
                most = fmaxf(most, x[i]);
            }
            double size = fmax(fabs(least), fabs(most));
            double step = four ? (most - least) / 15 : size / 127;
            for (int i = b; i < b + 32; i++) {
                double code = round((x[i] - least) / step);
                double off = fabs(got[i] - x[i]);
                assert_true(four || off <= step * 0.5001 + size * 0x1p-11);
                error += off * off;
                plain += pow(step > 0 ? least + code * step - x[i] : 0, 2);
            }
            assert_true(sqrt(error) <= sqrt(plain) * 1.01 + size * 0x1p-9);
        }
    }
}

/* ---- conversions ---- */

static void every_f16(void **state)
{
    (void)state;
    static uint16_t in[65536];
    static float out[65536];
    for (int i = 0; i < 65536; i++)
        in[i] = (uint16_t)i;
    widen_f32(TYPE_f16, in, 65536, out);
    for (int i = 0; i < 65536; i++)
        assert_int_equal(bits_of_f32(out[i]),
                         bits_of_f32(f32_of_f16((uint16_t)i)));
    widen_f32(TYPE_bf16, in, 65536, out);
    for (int i = 0; i < 65536; i++)
        assert_int_equal(bits_of_f32(out[i]), (uint32_t)i << 16);
}

static void between_floats(void **state)
{
    (void)state;
    static const Dtype type[] = {TYPE_f32, TYPE_f64, TYPE_bf16, TYPE_f16};
    static const double value[] = {0, -0.0, 1, -1.5, 1e-3, 65504, 65520, 1e10,
                                   1e-8, 1e-40, INFINITY, -INFINITY, 3.14159,
                                   1.00390625, 1.01171875};
    enum { N = COUNT(value) };
    double in[N], out[N], want[N];
    for (size_t a = 0; a < COUNT(type); a++)
        for (size_t b = 0; b < COUNT(type); b++) {
            FileTensor t = {.info = {"t", type[a], 1, {N}, in, 0}};
            for (int i = 0; i < N; i++)
                type_store(type[a], in, i, value[i]);
            tensor_read_all(&t, type[b], out);
            for (int i = 0; i < N; i++)
                type_store(type[b], want, i, type_load(type[a], in, i));
            assert_memory_equal(out, want,
                                N * (size_t)type_info[type[b]].block_bytes);
        }
}

static void whole_numbers(void **state)
{
    (void)state;
    static const Dtype type[] = {TYPE_i8,  TYPE_u8,  TYPE_i16, TYPE_u16,
                                 TYPE_i32, TYPE_u32, TYPE_i64, TYPE_u64};
    for (size_t i = 0; i < COUNT(type); i++) {
        int64_t minus = -1, got64;
        float got;
        FileTensor t = {.info = {"t", type[i], 0, {0}, &minus, 0}};
        tensor_read_all(&t, TYPE_f32, &got);
        float want = i % 2 ? ldexpf(1, 8 << i / 2) - (i < 4 ? 1 : 0) : -1;
        assert_true(got == want);
        got64 = 0;
        tensor_read_all(&t, type[i], &got64); /* its own type: as it is */
        assert_memory_equal(&got64, &minus,
                            (size_t)type_info[type[i]].block_bytes);
    }
}

static void unaligned(void **state)
{
    (void)state;
    char raw[8 * 3000 + 8];
    static float got[3000];
    static const Dtype type[] = {TYPE_f32, TYPE_f64, TYPE_bf16, TYPE_f16};
    for (size_t k = 0; k < COUNT(type); k++)
        for (int off = 1; off < 8; off++) {
            for (int i = 0; i < 3000; i++) {
                char one[8];
                size_t size = (size_t)type_info[type[k]].block_bytes;
                type_store(type[k], one, 0, i % 100);
                memcpy(raw + off + (size_t)i * size, one, size);
            }
            FileTensor t = {.info = {"t", type[k], 1, {3000}, raw + off, 0}};
            tensor_read_all(&t, TYPE_f32, got);
            for (int i = 0; i < 3000; i++)
                assert_true(got[i] == (float)(i % 100));
        }
    FileTensor odd = {.info = {"t", TYPE_f32, 1, {8}, raw + 1, 32}};
    assert_null(tensor_in_place(&odd, TYPE_f32));
}

/* Reading touches nothing before or behind the data. */
static void against_a_guard_page(void **state)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    (void)state;
    static float out[4096];
    char *map = mmap(NULL, 3 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
                     -1, 0);
    assert_true(map != MAP_FAILED);
    assert_int_equal(mprotect(map + page, page, PROT_READ | PROT_WRITE), 0);
    for (int d = 0; d < TYPE_COUNT; d++) {
        const TypeInfo *type = &type_info[d];
        int64_t n = (int64_t)page / type->block_bytes * type->block_len;
        if (n > 4096)
            n = 4096 / type->block_len * type->block_len;
        int64_t bytes = type_bytes((Dtype)d, n);
        FileTensor t = {.info = {"t", (Dtype)d, 1, {n}, map + page, bytes}};
        tensor_read_all(&t, TYPE_f32, out);
        t.info.data = map + 2 * page - bytes;
        tensor_read_all(&t, TYPE_f32, out);
        tensor_read(&t, n - 1, 1, TYPE_f32, out);
    }
    munmap(map, 3 * page);
}

/* Pages let go come back with the same values. */
static void released(void **state)
{
    (void)state;
    const char *path = model_folder(
        NULL, "{\"w\":{\"dtype\":\"U8\",\"shape\":[100000],"
              "\"data_offsets\":[0,100000]}}", 100000);
    Checkpoint *c = open_good(path);
    const uint8_t *at = c->tensor[0].info.data;
    assert_int_equal(at[99999], (uint8_t)99999);
    tensor_release(&c->tensor[0]);
    assert_int_equal(at[99999], (uint8_t)99999);
    assert_int_equal(at[0], 0);
    checkpoint_close(c);
}

/* ---- .npy ---- */

static void npy_both_ways(void **state)
{
    (void)state;
    Err err;
    int rank;
    int64_t shape[MAX_RANK];
    float data[15], *got;
    for (int i = 0; i < 15; i++)
        data[i] = (float)i / 7;
    assert_true(npy_write_f32(temp("a.npy"), data, 3, 5, &err));
    got = npy_read_f32(temp("a.npy"), &rank, shape, &err);
    assert_non_null(got);
    assert_int_equal(rank, 2);
    assert_true(shape[0] == 3 && shape[1] == 5);
    assert_memory_equal(got, data, sizeof data);
    free(got);
    struct stat st;
    assert_int_equal(stat(temp("a.npy"), &st), 0);
    assert_int_equal(st.st_size, 128 + sizeof data);
}

static void npy_wrong(void **state)
{
    (void)state;
    Err err;
    int rank;
    int64_t shape[MAX_RANK];
    static const char *const bad[] = {
        "", "text", "\x93NUMPY\1",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }",
        "{'descr': '<f4', 'fortran_order': True, 'shape': (2,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 4611686018427"
        "387904, 4), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (x), }"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        char file[300] = "\x93NUMPY\1";
        size_t n = strlen(bad[i]);
        file[8] = (char)n;
        memcpy(file + 10, bad[i], n);
        put_file(temp("b.npy"), i < 3 ? bad[i] : file, i < 3 ? n : n + 18);
        assert_null(npy_read_f32(temp("b.npy"), &rank, shape, &err));
        says(&err, "b.npy: ");
    }
}

int main(void)
{
    enum { N = COUNT(block_types) };
    const struct CMUnitTest others[] = {
        cmocka_unit_test(block_ranges),  cmocka_unit_test(every_f16),
        cmocka_unit_test(permuted_blocks), cmocka_unit_test(made_blocks),
        cmocka_unit_test(between_floats), cmocka_unit_test(whole_numbers),
        cmocka_unit_test(unaligned),     cmocka_unit_test(released),
        cmocka_unit_test(against_a_guard_page),
        cmocka_unit_test(npy_both_ways), cmocka_unit_test(npy_wrong),
    };
    struct CMUnitTest all[N];
    for (size_t i = 0; i < N; i++)
        all[i] = (struct CMUnitTest){block_types[i], blocks, NULL, NULL,
                                     (void *)block_types[i]};
    int bad = cmocka_run_group_tests_name("blocks", all, NULL, NULL);
    return bad + cmocka_run_group_tests_name("values", others, NULL, NULL);
}
