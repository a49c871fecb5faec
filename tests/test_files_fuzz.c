/* Headers damaged at random: opening them, and reading all that opens, must
 * neither crash nor read past the file; a refusal is one line. Meant for the
 * sanitizers; FUZZ sets the number of files of each kind. */
#include "tests/files_util.h"

static uint64_t seed = 1;

static uint32_t draw(uint32_t below)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % below;
}

static int rounds(void)
{
    const char *n = getenv("FUZZ");
    return n ? atoi(n) : 3000;
}

/* A few bytes changed, swapped for interesting numbers, cut or doubled. */
static size_t damage(uint8_t *at, size_t n, size_t room, size_t head)
{
    static const uint64_t odd[] = {0, 1, 0x7f, 0xff, 0x7fffffff, 0xffffffff,
                                   1ull << 62, UINT64_MAX};
    for (uint32_t k = 1 + draw(4); k; k--) {
        size_t where = draw((uint32_t)head);
        switch (draw(6)) {
        case 0: at[where] = (uint8_t)draw(256); break;
        case 1: at[where] ^= (uint8_t)(1u << draw(8)); break;
        case 2:
            if (where + 8 <= n)
                memcpy(at + where, &odd[draw(COUNT(odd))], 1u << draw(4));
            break;
        case 3: at[where] = (uint8_t)"0123456789[]{},:\"-e"[draw(19)]; break;
        case 4: n = n > 40 && !draw(4) ? n - draw(16) : n; break;
        default:
            if (n + 8 < room && where + 8 < n) {
                memmove(at + where + 4, at + where, n - where);
                n += 4;
            }
        }
    }
    return n;
}

/* Reads whatever the file claims to have. */
static void read_everything(const Checkpoint *c)
{
    static float out[1 << 16];
    for (int i = 0; i < c->tensors; i++) {
        const FileTensor *t = &c->tensor[i];
        int64_t n = 1;
        for (int k = 0; k < t->info.rank; k++)
            n *= t->info.shape[k];
        for (int64_t at = 0, part; at < n; at += part) {
            part = n - at < (1 << 16) ? n - at : 1 << 16;
            tensor_read(t, at, part, TYPE_f32, out);
        }
    }
    if (c->gguf) {
        int64_t n;
        gguf_strings(c->gguf, "tokenizer.ggml.tokens", &n);
        gguf_floats(c->gguf, "tokenizer.ggml.scores", &n);
        gguf_ints(c->gguf, "tokenizer.ggml.token_type", &n);
        gguf_string(c->gguf, "general.architecture");
    }
    checkpoint_hash(c);
}

static bool try_one(const char *path)
{
    Err err = {""};
    Checkpoint *c = checkpoint_open(path, &err);
    if (!c) {
        assert_true(*err.text && !strchr(err.text, '\n'));
        return false;
    }
    read_everything(c);
    checkpoint_close(c);
    return true;
}

/* Damaged copies of `file`; its first `head` bytes are the interesting ones. */
static void fuzz(const char *path, const char *open, const uint8_t *file,
                 size_t n, size_t head)
{
    static uint8_t copy[1 << 17];
    int opened = 0;
    assert_true(n + 64 < sizeof copy);
    for (int i = 0; i < rounds(); i++) {
        memcpy(copy, file, n);
        put_file(path, copy, damage(copy, n, sizeof copy, head));
        opened += try_one(open);
    }
    printf("# %d of %d still opened\n", opened, rounds());
    assert_true(opened < rounds());
}

static void fuzz_safetensors(void **state)
{
    (void)state;
    const char *folder = model_folder(
        NULL, "{\"__metadata__\":{\"format\":\"pt\"},"
              "\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],"
              "\"data_offsets\":[0,24]},"
              "\"b\":{\"dtype\":\"BF16\",\"shape\":[4],"
              "\"data_offsets\":[24,32]},"
              "\"c\":{\"dtype\":\"I64\",\"shape\":[],"
              "\"data_offsets\":[32,40]}}", 40);
    Err err;
    size_t n;
    const char *path = intern_printf("%s/model.safetensors", folder);
    char *file = read_file(path, &n, &err);
    fuzz(path, folder, (uint8_t *)file, n, n - 40);
    free(file);
}

static void fuzz_config(void **state)
{
    (void)state;
    static const char config[] =
        "{\"architectures\": [\"LlamaForCausalLM\"], \"hidden_size\": 48,\n"
        " \"rope_parameters\": {\"rope_theta\": 1e4}, \"x\": [null, true]}";
    const char *folder = model_folder(config, "{}", 0);
    fuzz(intern_printf("%s/config.json", folder), folder,
         (const uint8_t *)config, sizeof config - 1, sizeof config - 1);
}

static void fuzz_gguf(void **state)
{
    (void)state;
    static Gguf_bytes g;
    static const GgShape tensors[] = {
        {"token_embd.weight", 8, 10, 0}, {"blk.0.attn_q.weight", 8, 8, 0},
        {"blk.0.attn_q.bias", 8, 0, 0},  {"blk.0.ffn_gate_exps.weight", 8, 4,
                                          3}};
    gg_start(&g, COUNT(tensors), GG_LLAMA + 4);
    gg_llama(&g, "llama");
    gg_key_u32(&g, "llama.expert_count", 3);
    gg_key_u32(&g, "llama.expert_used_count", 2);
    gg_str(&g, "tokenizer.ggml.tokens"), gg_u32(&g, 9), gg_u32(&g, 8);
    gg_u64(&g, 2), gg_str(&g, "a"), gg_str(&g, "b");
    gg_str(&g, "tokenizer.ggml.token_type"), gg_u32(&g, 9), gg_u32(&g, 5);
    gg_u64(&g, 2), gg_u32(&g, 1), gg_u32(&g, 3);
    size_t head = g.n + 200;
    gg_tensors(&g, tensors, COUNT(tensors));
    put_file(temp("fuzz.gguf"), g.at, g.n);
    assert_true(try_one(temp("fuzz.gguf")));
    fuzz(temp("fuzz.gguf"), temp("fuzz.gguf"), g.at, g.n, head);
}

static void fuzz_blocks(void **state)
{
    (void)state;
    const char *path = shared("gguf_blocks/Q4_K.gguf");
    if (!path)
        skip();
    Err err;
    size_t n;
    char *file = read_file(path, &n, &err);
    fuzz(temp("fuzz.gguf"), temp("fuzz.gguf"), (uint8_t *)file, n, 117);
    free(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fuzz_safetensors), cmocka_unit_test(fuzz_config),
        cmocka_unit_test(fuzz_gguf), cmocka_unit_test(fuzz_blocks)};
    return cmocka_run_group_tests_name("files: fuzz", tests, NULL, NULL);
}
