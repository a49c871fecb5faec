/* Weights of a program on a GPU: packed on the host, then copied there, one
 * buffer after the other. All lie in one piece of memory, so that too little of
 * it is found before anything is read. */
#include "codegen/cuda/cuda_program.h"
#include "codegen/emit/kernel.h"
#include <stdlib.h>
#include <string.h>

enum { ALIGN = 256 }; /* bytes between which tensors begin */

static int64_t aligned(int64_t bytes)
{
    return (bytes + ALIGN - 1) / ALIGN * ALIGN;
}

static int64_t tensor_bytes(const Held *h, const Weight *w)
{
    return type_bytes(h->b->type.dtype, weight_elements(w));
}

/* A stacked weight has its tensors, then the table of their addresses. */
static int64_t held_bytes(const Held *h)
{
    if (h->b->kind == BUF_packed)
        return pack_bytes(&h->b->pack);
    const Weight *w = steps_weight(h->in, h->b->node);
    int64_t n = weight_tensors(w);
    if (!h->b->stacked)
        return tensor_bytes(h, w) * n;
    return aligned(tensor_bytes(h, w)) * n + n * (int64_t)sizeof(uint64_t);
}

static bool pack(const Held *h, const WeightSource *s, char *to, Err *err)
{
    const Pack *k = &h->b->pack;
    for (int i = 0; i < k->parts; i++) {
        const Weight *w = steps_weight(h->in, k->part[i]);
        for (int64_t j = 0; j < weight_tensors(w); j++)
            if (!tensor_pack(s, w, k, i, j, to, err))
                return false;
    }
    return true;
}

static bool plain(const Held *h, const WeightSource *s, char *to,
                  DeviceMemory at, Err *err)
{
    const Weight *w = steps_weight(h->in, h->b->node);
    int64_t n = weight_tensors(w), each = tensor_bytes(h, w);
    int64_t step = h->b->stacked ? aligned(each) : each;
    for (int64_t i = 0; i < n; i++) {
        uint64_t place = at + (uint64_t)(step * i);
        if (!tensor_load(s, w, i, h->b->type.dtype, to + step * i, err))
            return false;
        if (h->b->stacked)
            memcpy(to + step * n + i * (int64_t)sizeof place, &place,
                   sizeof place);
    }
    return true;
}

static bool load_held(CudaProgram *p, const Held *h, const WeightSource *s,
                      DeviceMemory at, Err *err)
{
    int64_t bytes = held_bytes(h);
    char *host = xmalloc((size_t)bytes + 1);
    memset(host, 0, (size_t)bytes);
    bool fine = h->b->kind == BUF_packed ? pack(h, s, host, err)
                                         : plain(h, s, host, at, err);
    fine = fine && device_upload(p->device, at, host, bytes, err);
    free(host);
    return fine;
}

/* Where a stacked buffer's address is: its table. */
static DeviceMemory address(const Held *h, DeviceMemory at)
{
    if (h->b->kind == BUF_packed || !h->b->stacked)
        return at;
    const Weight *w = steps_weight(h->in, h->b->node);
    return at + (uint64_t)(aligned(tensor_bytes(h, w)) * weight_tensors(w));
}

bool cuda_load(CudaProgram *p, const WeightSource *s, Err *err)
{
    const Steps *steps = &p->steps;
    int64_t bytes = 0;
    p->loaded = false;
    device_release(p->device, p->weights);
    for (int i = 0; i < steps->weight.n; i++)
        bytes += aligned(held_bytes(&steps->weight.at[i]));
    p->weights = device_alloc(p->device, bytes, "the weights", err);
    if (!p->weights)
        return false;
    DeviceMemory at = p->weights;
    for (int i = 0; i < steps->weight.n; i++) {
        const Held *h = &steps->weight.at[i];
        p->weight[i] = address(h, at);
        if (!load_held(p, h, s, at, err))
            return false;
        at += (uint64_t)aligned(held_bytes(h));
    }
    p->cost.weights = bytes;
    return p->loaded = true;
}
