/* GGUF files that are wrong or hostile: each one line, no crash, no large
 * allocation. */
#include "tests/files_util.h"
#include <math.h>

static Gguf_bytes gg;

static void start_wrong(void **state)
{
    (void)state;
    put_text(temp("x.gguf"), "GGML");
    open_fails(temp("x.gguf"), "x.gguf: this is neither");
    put_text(temp("x.gguf"), "GGUF");
    open_fails(temp("x.gguf"), "cut short in its head");
    gg_start(&gg, 0, 0);
    gg.at[4] = 1;
    open_fails(gg_put(&gg), "GGUF version 1");
    gg.at[4] = 0, gg.at[7] = 3;
    open_fails(gg_put(&gg), "big-endian");
}

static void counts_wrong(void **state)
{
    (void)state;
    static const uint64_t huge[] = {1, 1000, 1ull << 31, 1ull << 40,
                                    1ull << 63, UINT64_MAX};
    for (size_t i = 0; i < COUNT(huge); i++) {
        gg_start(&gg, huge[i], 0);
        open_fails(gg_put(&gg), "tensors cannot be");
        gg_start(&gg, 0, huge[i]);
        open_fails(gg_put(&gg), "metadata keys cannot be");
        gg_start(&gg, 0, 1);
        gg_u64(&gg, huge[i]), gg_u64(&gg, 0), gg_u64(&gg, 0);
        open_fails(gg_put(&gg), "metadata key");
        gg_start(&gg, 0, 1);
        gg_str(&gg, "key"), gg_u32(&gg, 8), gg_u64(&gg, huge[i]);
        open_fails(gg_put(&gg), "of key");
        gg_start(&gg, 0, 1);
        gg_str(&gg, "key"), gg_u32(&gg, 9), gg_u32(&gg, 4);
        gg_u64(&gg, huge[i]);
        open_fails(gg_put(&gg), "key");
    }
}

static void metadata_wrong(void **state)
{
    (void)state;
    gg_start(&gg, 0, 1);
    gg_str(&gg, "key"), gg_u32(&gg, 13), gg_u32(&gg, 0);
    open_fails(gg_put(&gg), "key key has the unknown type 13");
    gg_start(&gg, 0, 2);
    gg_key_u32(&gg, "key", 1), gg_key_u32(&gg, "key", 1);
    open_fails(gg_put(&gg), "key key is given twice");
    gg_start(&gg, 0, 1);
    gg_key_u32(&gg, "a\nb", 1);
    open_fails(gg_put(&gg), "a metadata key has no printable name");
    gg_start(&gg, 0, 1);
    gg_str(&gg, "deep"), gg_u32(&gg, 9);
    for (int i = 0; i < 8; i++)
        gg_u32(&gg, 9), gg_u64(&gg, 1);
    gg_u32(&gg, 4), gg_u64(&gg, 0);
    open_fails(gg_put(&gg), "nested more than");
    gg_start(&gg, 0, 1);
    gg_key_u32(&gg, "general.alignment", 24);
    open_fails(gg_put(&gg), "general.alignment is 24");
    gg_start(&gg, 0, 1);
    gg_key_u32(&gg, "split.count", 3);
    open_fails(gg_put(&gg), "one of 3 parts");
}

static void tensors_wrong(void **state)
{
    (void)state;
#define ONE_TENSOR(d0, d1, type, offset, words) \
    do { \
        gg_start(&gg, 1, 0); \
        gg_tensor(&gg, "w", d0, d1, 0, type, offset); \
        gg_floats(&gg, 64); \
        open_fails(gg_put(&gg), words); \
    } while (0)
    ONE_TENSOR(8, 8, 99, 0, "tensor w: GGML type 99 is none");
    ONE_TENSOR(8, 8, 10, 0, "tensor w: GGML type 10 is none");
    ONE_TENSOR(8, 8, 0, 8, "tensor w begins at 8, no multiple of 32");
    ONE_TENSOR(8, 8, 0, 32, "tensor w: [8, 8] f32: needs 256 bytes at 32");
    ONE_TENSOR(8, 8, 0, 1ull << 40, "tensor w|holds 256");
    ONE_TENSOR(8, 8, 0, UINT64_MAX - 31, "tensor w begins past the end");
    ONE_TENSOR(8, 9, 0, 0, "needs 288 bytes");
    ONE_TENSOR(0, 9, 0, 0, "tensor w has a dim of 0");
    ONE_TENSOR(1ull << 62, 9, 0, 0, "tensor w|too large");
    ONE_TENSOR(UINT64_MAX, 1, 0, 0, "tensor w has a dim of");
    ONE_TENSOR(16, 2, 8, 0, "tensor w: [2, 16] q8_0: its rows are no whole");
    gg_start(&gg, 2, 0);
    gg_tensor(&gg, "a", 16, 0, 0, 0, 0);
    gg_tensor(&gg, "b", 16, 0, 0, 0, 32);
    gg_floats(&gg, 64);
    open_fails(gg_put(&gg), "tensor b overlaps tensor a by 32 bytes");
    gg_start(&gg, 2, 0);
    gg_tensor(&gg, "a", 8, 0, 0, 0, 0);
    gg_tensor(&gg, "a", 8, 0, 0, 0, 32);
    gg_floats(&gg, 64);
    open_fails(gg_put(&gg), "tensor a is there twice");
}

static void cut_anywhere(void **state)
{
    (void)state;
    static const GgShape tensors[] = {{"token_embd.weight", 8, 4, 0}};
    gg_start(&gg, 1, GG_LLAMA);
    gg_llama(&gg, "llama");
    gg_tensors(&gg, tensors, 1);
    for (size_t n = gg.n, all = gg.n; n-- > 1;) {
        gg.n = n;
        put_file(temp("cut.gguf"), gg.at, n);
        open_fails(temp("cut.gguf"), "cut.gguf");
        gg.n = all;
    }
}

static void models_wrong(void **state)
{
    (void)state;
    static const GgShape embed = {"token_embd.weight", 8, 4, 0};
    gg_start(&gg, 1, 1);
    gg_key_str(&gg, "general.architecture", "bert");
    gg_tensors(&gg, &embed, 1);
    open_fails(gg_put(&gg), "architecture bert is none that graft reads");
    gg_start(&gg, 1, 0);
    gg_tensors(&gg, &embed, 1);
    open_fails(gg_put(&gg), "general.architecture is missing");
    gg_start(&gg, 1, 1);
    gg_key_str(&gg, "general.architecture", "llama");
    gg_tensors(&gg, &embed, 1);
    open_fails(gg_put(&gg), "llama.block_count is missing");
    gg_start(&gg, 1, GG_LLAMA + 1);
    gg_llama(&gg, "llama");
    gg_key_f32(&gg, "llama.rope.freq_base", NAN);
    gg_tensors(&gg, &embed, 1);
    open_fails(gg_put(&gg), "llama.rope.freq_base is no finite number");
    gg_start(&gg, 1, GG_LLAMA + 1);
    gg_llama(&gg, "llama");
    gg_key_str(&gg, "llama.rope.scaling.type", "magic");
    gg_tensors(&gg, &embed, 1);
    open_fails(gg_put(&gg), "rope scaling magic is none");
    static const GgShape odd = {"blk.0.attn_q.weight", 8, 7, 0};
    gg_start(&gg, 1, GG_LLAMA);
    gg_llama(&gg, "llama");
    gg_tensors(&gg, &odd, 1);
    open_fails(gg_put(&gg), "q_proj.weight: [7, 8] f32: its rows are no 2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(start_wrong),   cmocka_unit_test(counts_wrong),
        cmocka_unit_test(metadata_wrong), cmocka_unit_test(tensors_wrong),
        cmocka_unit_test(cut_anywhere),  cmocka_unit_test(models_wrong),
    };
    return cmocka_run_group_tests_name("gguf: wrong", tests, NULL, NULL);
}
