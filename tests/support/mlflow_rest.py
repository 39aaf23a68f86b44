"""MLflow's REST API, called with as little as it takes."""

from __future__ import annotations

from typing import Any

import httpx


class Rest(httpx.Client):
    """Paths are those below `/api/2.0/mlflow/`."""

    def __init__(self, http: str) -> None:
        super().__init__(base_url=http, timeout=60.0, trust_env=False)

    def ask(self, path: str, /, **query: Any) -> Any:
        """GET; the answer, which must be a 200."""
        return _answer(self.get(f"/api/2.0/mlflow/{path}", params=query))

    def tell(self, path: str, method: str = "POST", /, **fields: Any) -> Any:
        """POST with a JSON body; the answer, which must be a 200."""
        return _answer(self.request(method, f"/api/2.0/mlflow/{path}", json=fields))

    def refused(self, path: str, method: str = "POST", /, **fields: Any) -> tuple[int, str, str]:
        """Status, code and message of what must be an error."""
        url = f"/api/2.0/mlflow/{path}"
        sent: dict[str, Any] = {"params": fields} if method == "GET" else {"json": fields}
        response = self.request(method, url, **sent)
        assert response.status_code >= 400, response.text
        error = response.json()
        return response.status_code, error["error_code"], error["message"]


def _answer(response: httpx.Response) -> Any:
    assert response.status_code == 200, f"{response.status_code}: {response.text}"
    return response.json()
