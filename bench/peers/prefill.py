"""512 tokens of a SmolLM2 shape in f32: transformers and graft in turn, in one run.

prefill.py GRAFT MODEL.gguf; from the environment of bench/setup-peers."""
import torch,time,subprocess,os,json,sys,numpy as np
torch.set_num_threads(2)
from transformers import LlamaConfig, LlamaForCausalLM
cfg=LlamaConfig(hidden_size=576,intermediate_size=1536,num_hidden_layers=30,num_attention_heads=9,num_key_value_heads=3,vocab_size=49152,tie_word_embeddings=True)
m=LlamaForCausalLM(cfg).eval()
ids=torch.randint(0,49152,(1,512))
def pt():
    with torch.no_grad():
        t=time.time(); m(ids); return time.time()-t
G=sys.argv[1]; S=sys.argv[2]
pt()
best_p=[];best_g=[]
for r in range(5):
    best_p.append(pt())
    o=subprocess.run([G,'bench','model',S,'--tokens','512','--json','--dtype','f32'],capture_output=True,text=True)
    try:
        j=json.loads(o.stdout); best_g.append([x['ms'] for x in j['rows'] if x['tokens']==512][0]/1e3)
    except Exception as e: print(o.stdout[:500],o.stderr[:500]); break
print('pytorch',[round(x,3) for x in best_p],'graft',[round(x,3) for x in best_g])
if best_g: print('ratio median pt/graft',np.median(best_p)/np.median(best_g), 'best', min(best_p)/min(best_g))
