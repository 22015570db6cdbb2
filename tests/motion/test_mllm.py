"""Ways to models: parsing, budgets, recordings, and real clients against a small local server."""

from __future__ import annotations

import io
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

pytest.importorskip("pydantic")

from pydantic import BaseModel, Field

from foveate.motion.mllm import (
    BadAnswer,
    Budget,
    BudgetExceeded,
    Completion,
    Message,
    Metered,
    ProviderError,
    RecordingProvider,
    Refused,
    ReplayProvider,
    ScriptedProvider,
    Unreachable,
    connect,
)
from foveate.motion.mllm.asking import ask, extract, number
from foveate.motion.mllm.human import HumanProvider
from foveate.motion.mllm.replay import request_hash


class Answer(BaseModel):
    n: int = Field(ge=0, le=9)


HELLO = [Message.of("system", "be brief"), Message.of("user", "a number")]


def picture(shade, size=32):
    pictures = pytest.importorskip("PIL.Image")
    data = io.BytesIO()
    pictures.new("RGB", (size, size), (shade, shade, shade)).save(data, "PNG")
    return data.getvalue()


# ---- parsing


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"n": 3}', {"n": 3}),
        ('I think {maybe} so:\n```json\n{"n": 3}\n```\nDone.', {"n": 3}),
        ('first {"n": 1} then {"n": 2, "why": "better"}', {"n": 2, "why": "better"}),
        ('{"s": "a } brace and a \\" quote", "n": 3}', {"s": 'a } brace and a " quote', "n": 3}),
        ("{'n': 3, // a comment\n}", {"n": 3}),
        ("no object here", None),
        ("[1, 2]", None),
    ],
)
def test_extract(text, value):
    pytest.importorskip("json_repair")
    assert extract(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [("45°", 45), ("-3.5 deg", -3.5), ("0.5 s", 0.5), ("20 cm", 0.2), ("fast", "fast"), (7, 7)],
)
def test_number(text, value):
    assert number(text) == pytest.approx(value) if not isinstance(value, str) else value


def test_ask_asks_again_with_the_problems():
    provider = ScriptedProvider(["nothing", {"n": 42}, {"n": 4}])
    assert ask(provider, HELLO, Answer, tries=3).n == 4
    assert "holds no JSON object" in provider.asked[1][-1].text
    assert "n: Input should be less than or equal to 9" in provider.asked[2][-1].text


def test_ask_gives_up_in_one_line():
    with pytest.raises(BadAnswer, match="scripted gave no usable answer in 2 tries") as caught:
        ask(ScriptedProvider(["no", "no"]), HELLO, Answer)
    assert "\n" not in str(caught.value)


def test_truncated_answer_is_called_so():
    cut = Completion('{"n"', truncated=True)
    with pytest.raises(BadAnswer, match="cut off"):
        ask(ScriptedProvider([cut, cut]), HELLO, Answer)


# ---- budgets


@pytest.mark.parametrize(
    ("budget", "message"),
    [
        (Budget(calls=1), "budget of 1 calls"),
        (Budget(input_tokens=1), "budget of 1 input tokens"),
        (Budget(output_tokens=1), "budget of 1 output tokens"),
    ],
)
def test_budget_stops(budget, message):
    provider = Metered(ScriptedProvider(lambda messages: {"n": 1}), budget)
    provider.complete(HELLO)
    with pytest.raises(BudgetExceeded, match=message):
        provider.complete(HELLO)
    assert provider.spent["calls"] == 1


def test_budget_of_images_counts_before_sending():
    provider = Metered(ScriptedProvider(lambda messages: {}), Budget(images=1))
    two = [Message.of("user", "look", picture(0), picture(9))]
    with pytest.raises(BudgetExceeded, match="budget of 1 images"):
        provider.complete(two)


def test_budget_refuses_nonsense():
    with pytest.raises(ValueError, match=r"Budget\.calls is 0"):
        Budget(calls=0)


# ---- recordings


def test_recording_is_replayed_by_hash(tmp_path):
    path = tmp_path / "talk.jsonl"
    recorder = RecordingProvider(ScriptedProvider([{"n": 1}, "two"], "model-x"), path)
    other = [Message.of("user", "another", picture(200))]
    recorder.complete(HELLO)
    recorder.complete(other)
    replay = ReplayProvider(path, strict=True)
    assert replay.name == "model-x"
    assert replay.complete(other).text == "two"
    assert json.loads(replay.complete(HELLO).text) == {"n": 1}
    with pytest.raises(ProviderError, match="knows no such request"):
        replay.complete([Message.of("user", "never asked")])


def test_recording_holds_no_picture(tmp_path):
    path = tmp_path / "talk.jsonl"
    RecordingProvider(ScriptedProvider(["x"]), path).complete([Message.of("user", "a", picture(3))])
    assert len(path.read_bytes()) < 1500


def test_hash_forgives_a_slightly_different_picture():
    def asked(shade):
        return request_hash([Message.of("user", "look", picture(shade))])

    assert asked(100) == asked(102)
    assert asked(100) != asked(220)


def test_loose_replay_goes_in_order_and_ends(tmp_path):
    path = tmp_path / "talk.jsonl"
    path.write_text('{"response": "a"}\n\n{"response": "b"}\n')
    replay = ReplayProvider(path)
    assert [replay.complete(HELLO).text for _ in range(2)] == ["a", "b"]
    with pytest.raises(ProviderError, match="has no answers left"):
        replay.complete(HELLO)


def test_reuse_goes_on_where_it_stopped(tmp_path):
    path = tmp_path / "talk.jsonl"
    RecordingProvider(ScriptedProvider(["first"]), path).complete(HELLO)
    again = RecordingProvider(ScriptedProvider([]), path, reuse=True)
    assert again.complete(HELLO).text == "first"


@pytest.mark.parametrize(
    ("content", "message"), [("", "is empty"), ("{}", "line 1"), ("hi", "line 1")]
)
def test_broken_recording_is_refused(tmp_path, content, message):
    path = tmp_path / "talk.jsonl"
    path.write_text(content)
    with pytest.raises(ValueError, match=message):
        ReplayProvider(path)


def test_human_reads_up_to_a_dot():
    out = io.StringIO()
    provider = HumanProvider(out, io.StringIO('{"n": 5}\n.\nrest'))
    assert ask(provider, HELLO, Answer).n == 5
    assert "a number" in out.getvalue()


@pytest.mark.parametrize("told", ["gpt", "openai:", "transformers:", "replay:"])
def test_connect_refuses(told):
    with pytest.raises(ValueError, match=r"unknown provider|names no model"):
        connect(told)


# ---- real clients against a local server


class Server:
    """Answers chat completions and messages by a function of the request."""

    def __init__(self, answer):
        seen = self.seen = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                seen.append(body)
                status, reply = answer(len(seen), body)
                data = json.dumps(reply).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"

    def __enter__(self):
        threading.Thread(target=self.http.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.http.shutdown()
        self.http.server_close()


def chat(text, reason="stop", **message):
    return {
        "id": "1", "object": "chat.completion", "created": 1, "model": "tiny",
        "choices": [{"index": 0, "finish_reason": reason,
                     "message": {"role": "assistant", "content": text, **message}}],
        "usage": {"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16},
    }  # fmt: skip


def test_openai_compatible_server():
    pytest.importorskip("openai")
    with Server(lambda n, body: (200, chat('{"n": 2}'))) as server:
        provider = connect(f"openai:tiny@{server.url}/v1")
        asked = [*HELLO, Message.of("user", "look", picture(1))]
        assert ask(provider, asked, Answer, seed=3).n == 2
    body = server.seen[0]
    assert body["response_format"]["json_schema"]["schema"]["properties"]["n"]["maximum"] == 9
    assert body["seed"] == 3
    assert body["messages"][-1]["content"][1]["image_url"]["url"].startswith(
        "data:image/png;base64,"
    )


def test_openai_server_that_takes_less_is_asked_for_less():
    # some servers know no schema, some models no temperature, some want another name for max_tokens
    pytest.importorskip("openai")

    def answer(n, body):
        for word in ("temperature", "max_tokens"):
            if word in body:
                return 400, {"error": {"message": f"unsupported parameter {word}"}}
        if body.get("response_format", {}).get("type") == "json_schema":
            return 400, {"error": {"message": "json_schema is not supported"}}
        return 200, chat('{"n": 1}')

    with Server(answer) as server:
        provider = connect(f"openai:tiny@{server.url}/v1")
        assert ask(provider, HELLO, Answer).n == 1
        assert ask(provider, HELLO, Answer).n == 1
    assert len(server.seen) == 5  # three lessons, two answers: what was learnt is kept
    assert "JSON Schema" in server.seen[-1]["messages"][-1]["content"]


@pytest.mark.parametrize(
    ("status", "reply", "error", "message"),
    [
        (401, {"error": {"message": "bad key"}}, Unreachable, "does not accept the key"),
        (404, {"error": {"message": "no model"}}, Unreachable, "has no model 'tiny'"),
        (500, {"error": {"message": "broken"}}, Unreachable, "failed"),
        (200, {"hello": "world"}, ProviderError, "without a choice"),
        (200, chat(None, refusal="I would rather not"), Refused, "I would rather not"),
        (200, chat("", "content_filter"), Refused, "content filter"),
    ],
)
def test_openai_errors_are_one_line(status, reply, error, message):
    pytest.importorskip("openai")
    with Server(lambda n, body: (status, reply)) as server:
        provider = connect(f"openai:tiny@{server.url}/v1", retries=0)
        with pytest.raises(error, match=message) as caught:
            provider.complete(HELLO)
    assert "\n" not in str(caught.value)


def test_unreachable_endpoint_is_one_line():
    pytest.importorskip("openai")
    provider = connect("openai:tiny@http://127.0.0.1:9/v1", retries=0)
    with pytest.raises(Unreachable, match=r"cannot reach http://127\.0\.0\.1:9/v1"):
        provider.complete(HELLO)


def test_missing_key_is_one_line(monkeypatch):
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "ANTHROPIC_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    pytest.importorskip("openai")
    pytest.importorskip("anthropic")
    with pytest.raises(Unreachable, match="set OPENAI_API_KEY"):
        connect("openai:some-model")
    with pytest.raises(Unreachable, match="set ANTHROPIC_API_KEY"):
        connect("anthropic:some-model")


def messages_reply(content, reason="tool_use"):
    return {
        "id": "m", "type": "message", "role": "assistant", "model": "tiny", "content": content,
        "stop_reason": reason, "stop_sequence": None,
        "usage": {"input_tokens": 7, "output_tokens": 3},
    }  # fmt: skip


def test_anthropic_calls_the_answer_tool(monkeypatch):
    pytest.importorskip("anthropic")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "test")
    content = [{"type": "tool_use", "id": "t", "name": "answer", "input": {"n": 8}}]
    with Server(lambda n, body: (200, messages_reply(content))) as server:
        provider = connect("anthropic:tiny", base_url=server.url)
        asked = [*HELLO, Message.of("user", "look", picture(1))]
        assert ask(provider, asked, Answer).n == 8
    body = server.seen[0]
    assert body["system"] == "be brief"
    assert body["tool_choice"] == {"type": "tool", "name": "answer"}
    assert body["messages"][-1]["content"][1]["source"]["media_type"] == "image/png"


def test_anthropic_errors(monkeypatch):
    pytest.importorskip("anthropic")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "test")
    refusal = messages_reply([], "refusal")
    with (
        Server(lambda n, body: (200, refusal)) as server,
        pytest.raises(Refused, match="declined"),
    ):
        connect("anthropic:tiny", base_url=server.url).complete(HELLO)
    error = {"type": "error", "error": {"type": "authentication_error", "message": "no"}}
    with (
        Server(lambda n, body: (401, error)) as server,
        pytest.raises(Unreachable, match="does not accept the key"),
    ):
        connect("anthropic:tiny", base_url=server.url, retries=0).complete(HELLO)


# ---- a model on this machine


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory):
    """A random two-layer chat model of 64 tokens."""
    transformers = pytest.importorskip("transformers")
    tokenizers = pytest.importorskip("tokenizers")
    folder = tmp_path_factory.mktemp("tiny")
    letters = ["<pad>", "<eos>", "<unk>", *"abcdefghijklmnopqrstuvwxyz0123456789{}[]:,\"' .\n"]
    model = tokenizers.models.WordLevel({t: i for i, t in enumerate(letters)}, unk_token="<unk>")
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Split("", "isolated")
    tokenizer.decoder = tokenizers.decoders.Fuse()
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>"
    )
    fast.chat_template = (
        "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}assistant: "
    )
    fast.save_pretrained(folder)
    config = transformers.LlamaConfig(
        vocab_size=len(letters), hidden_size=16, intermediate_size=32, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=2, max_position_embeddings=8192,
        pad_token_id=0, eos_token_id=1, bos_token_id=1,
    )  # fmt: skip
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def test_transformers_model_answers_and_repeats_itself(tiny_model):
    provider = connect(f"transformers:{tiny_model}")
    assert not provider.capabilities.vision
    first = provider.complete(HELLO, max_tokens=12, seed=5)
    again = provider.complete(HELLO, max_tokens=12, seed=5)
    assert first.text == again.text
    assert first.usage.output_tokens <= 12
    assert first.usage.input_tokens > 20


def test_transformers_model_that_babbles_is_a_bad_answer(tiny_model):
    provider = connect(f"transformers:{tiny_model}")
    with pytest.raises(BadAnswer, match="no usable answer"):
        ask(provider, HELLO, Answer, max_tokens=8)


def test_transformers_folder_without_a_model(tmp_path):
    with pytest.raises(ValueError, match="holds no model"):
        connect(f"transformers:{tmp_path}")
