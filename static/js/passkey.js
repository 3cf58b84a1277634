// Says in words why a passkey could not be used; allauth's scripts only write it to the console.

document.addEventListener("allauth.error", event => {
  event.preventDefault();
  const { exception } = event.detail;
  const say = {
    NotAllowedError: "The passkey was not used: it took too long, or was cancelled.",
    InvalidStateError: "This passkey is added already.",
    SecurityError: "Passkeys work by HTTPS under a name, or at http://localhost; not at this address.",
  };
  const words = say[exception.name] ?? `The passkey could not be used: ${exception.message}`;
  const notice = document.querySelector(".passkey-error") ?? document.createElement("p");
  notice.className = "notice bad passkey-error";
  notice.setAttribute("role", "alert");
  notice.textContent = words;
  document.querySelector("main form.form").after(notice);
});
