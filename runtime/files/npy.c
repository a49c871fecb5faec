/* .npy: "\x93NUMPY", version, header length, a Python dict as text, data. */
#include "runtime/files/files.h"
#include <string.h>

enum { HEAD = 128 }; /* ours: always as long, a multiple of 64 as numpy's */

bool npy_write_f32(const char *path, const float *data, int64_t rows,
                   int64_t cols, Err *err)
{
    size_t bytes = (size_t)(rows * cols) * sizeof *data;
    char *file = xmalloc(HEAD + bytes);
    memset(file, ' ', HEAD);
    memcpy(file, "\x93NUMPY\1\0", 8);
    file[8] = HEAD - 10, file[9] = 0;
    int n = snprintf(file + 10, HEAD - 10,
                     "{'descr': '<f4', 'fortran_order': False, "
                     "'shape': (%lld, %lld), }", (long long)rows,
                     (long long)cols);
    file[10 + n] = ' ';
    file[HEAD - 1] = '\n';
    if (bytes)
        memcpy(file + HEAD, data, bytes);
    bool good = file_write(path, file, HEAD + bytes, err);
    free(file);
    return good;
}

/* The text after "'key':" in a header, blanks skipped, or NULL. */
static const char *after(const char *header, const char *key)
{
    const char *at = strstr(header, key);
    if (!at)
        return NULL;
    at += strlen(key);
    return at + strspn(at, " ");
}

static bool read_shape(const char *at, int *rank, int64_t shape[MAX_RANK],
                       int64_t *count)
{
    *rank = 0;
    *count = 1;
    if (*at++ != '(')
        return false;
    while (*(at += strspn(at, " ,")) != ')') {
        char *end;
        long long n = strtoll(at, &end, 10);
        if (end == at || n < 0 || *rank == MAX_RANK)
            return false;
        shape[(*rank)++] = n;
        if (__builtin_mul_overflow(*count, n, count))
            return false;
        at = end;
    }
    return *count <= INT64_MAX / 4;
}

static float *read_array(const char *path, const char *file, size_t len,
                         int *rank, int64_t shape[MAX_RANK], Err *err)
{
    const char *why = "is no .npy file";
    char header[4096] = "";
    int64_t count = 0;
    size_t head = len < 10 ? 0 : (uint8_t)file[8] | (size_t)(uint8_t)file[9]
                                                        << 8;
    if (len < 10 || memcmp(file, "\x93NUMPY\1", 7) || head >= sizeof header ||
        head > len - 10)
        goto wrong;
    memcpy(header, file + 10, head);
    const char *descr = after(header, "'descr':");
    const char *order = after(header, "'fortran_order':");
    const char *dims = after(header, "'shape':");
    why = "is no array of little-endian f32 in C order";
    if (!descr || strncmp(descr, "'<f4'", 5) || !order ||
        strncmp(order, "False", 5) || !dims ||
        !read_shape(dims, rank, shape, &count))
        goto wrong;
    why = "has not the bytes that its shape needs";
    if ((uint64_t)count * 4 != len - 10 - head)
        goto wrong;
    float *out = xmalloc((size_t)count * 4);
    memcpy(out, file + 10 + head, (size_t)count * 4);
    return out;
wrong:
    err_set(err, "%s: %s", path, why);
    return NULL;
}

float *npy_read_f32(const char *path, int *rank, int64_t shape[MAX_RANK],
                    Err *err)
{
    size_t len;
    char *file = read_file(path, &len, err);
    if (!file)
        return NULL;
    float *out = read_array(path, file, len, rank, shape, err);
    free(file);
    return out;
}
