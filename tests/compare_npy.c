/* compare_npy A B MOST: are all elements of B within MOST of A's? Of a B with
 * fewer rows, the last rows of A. Says how far they are; the tests use it. */
#include "runtime/runtime.h"
#include <math.h>

int main(int argc, char **argv)
{
    Err err;
    int rank[2];
    int64_t shape[2][MAX_RANK];
    if (argc != 4)
        return 2;
    float *a = npy_read_f32(argv[1], &rank[0], shape[0], &err);
    float *b = a ? npy_read_f32(argv[2], &rank[1], shape[1], &err) : NULL;
    if (!b || rank[0] != 2 || rank[1] != 2 || shape[0][1] != shape[1][1] ||
        shape[0][0] < shape[1][0]) {
        fprintf(stderr, "%s\n", b ? "their shapes differ" : err.text);
        return 2;
    }
    int64_t skip = (shape[0][0] - shape[1][0]) * shape[0][1];
    int64_t count = shape[1][0] * shape[1][1];
    double most = 0;
    for (int64_t i = 0; i < count; i++) {
        double off = fabs((double)a[skip + i] - (double)b[i]);
        most = off > most || isnan(off) ? off : most;
    }
    printf("%g apart\n", most);
    free(a);
    free(b);
    return !(most <= strtod(argv[3], NULL));
}
