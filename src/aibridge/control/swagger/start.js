// Shows the document that this server is described by. Requests are sent with the session cookie, or with a token that is
// entered under "Authorize".
window.addEventListener("load", () => {
  window.ui = SwaggerUIBundle({
    url: "/api/v2/openapi.json",
    dom_id: "#swagger-ui",
    deepLinking: true,
    validatorUrl: null,
    docExpansion: "none",
    tryItOutEnabled: true,
  });
});
