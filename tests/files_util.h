/* For tests of files: a folder that goes away, small checkpoints made by hand,
 * and errors that must say certain words. */
#pragma once
#include "runtime/files/files.h"
#include <setjmp.h>
#include <string.h>
/* after setjmp.h */
#include <cmocka.h>

/* A path in this test program's own folder, which is removed at exit. */
PRINTF(1, 2) const char *temp(const char *fmt, ...);
void make_dir(const char *path);
bool exists(const char *path);
int files_in(const char *path); /* entries, also hidden ones */
void put_file(const char *path, const void *data, size_t len);
void put_text(const char *path, const char *text);

/* Shared data, or NULL with a line that says why the test is skipped. */
const char *shared(const char *name);

/* A .safetensors with this header and so many bytes 0, 1, 2 ... of data. */
void put_safetensors(const char *path, const char *header, size_t data);
/* A folder: config.json (a small llama's if NULL) and model.safetensors. */
const char *model_folder(const char *config, const char *header, size_t data);
#define SMALL_CONFIG "{\"architectures\":[\"LlamaForCausalLM\"]}"

/* Opening must fail with one line that has all of `words` ("a|b"). */
void open_fails(const char *path, const char *words);
void says(const Err *err, const char *words);
Checkpoint *open_good(const char *path); /* fails the test with its error */
/* Elements of a tensor by name, malloc'ed. */
float *values(const Checkpoint *c, const char *name, int64_t *count);

/* ---- GGUF by hand ---- */

typedef struct {
    uint8_t at[1 << 16];
    size_t n;
} Gguf_bytes;

void gg_u32(Gguf_bytes *g, uint32_t v);
void gg_u64(Gguf_bytes *g, uint64_t v);
void gg_str(Gguf_bytes *g, const char *s);
void gg_start(Gguf_bytes *g, uint64_t tensors, uint64_t keys);
void gg_key_u32(Gguf_bytes *g, const char *key, uint32_t v);
void gg_key_f32(Gguf_bytes *g, const char *key, float v);
void gg_key_str(Gguf_bytes *g, const char *key, const char *v);
/* `dims` as the file has them: fastest first; 0 ends them. */
void gg_tensor(Gguf_bytes *g, const char *name, uint64_t d0, uint64_t d1,
               uint64_t d2, uint32_t type, uint64_t offset);
/* Padding to 32, then so many floats 0, 1, 2 ... */
void gg_floats(Gguf_bytes *g, int count);
/* The keys of a llama of 2 heads of 4, 1 key head, one layer. */
void gg_llama(Gguf_bytes *g, const char *arch);
enum { GG_LLAMA = 8 };
/* f32 tensors one after the other, filled with 0, 1, 2 ... */
typedef struct {
    const char *name;
    uint64_t d0, d1, d2;
} GgShape;
void gg_tensors(Gguf_bytes *g, const GgShape *s, int n);
const char *gg_put(const Gguf_bytes *g); /* a new file's path */
