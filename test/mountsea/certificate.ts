/**
 * Tests: a certificate for localhost and 127.0.0.1 that nobody signed, until 2126. Its key protects nothing.
 *
 * `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 36500 -subj /CN=localhost -addext
 * subjectAltName=IP:127.0.0.1,DNS:localhost`
 */
export const SELF_SIGNED = {
  key: `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg1uAzBYvdkZAiz8hH
kwWZJ/Ofk4M5CP9KCzcUREczgpKhRANCAAQ88Qutn1wm4YstF5WCWKNZ19QjpDaQ
3osAZw77fkrbrr+wK0jKhKX8LFnWjB+xjNK49YEvezAAm66O2yfs/Cgv
-----END PRIVATE KEY-----`,
  cert: `-----BEGIN CERTIFICATE-----
MIIBmzCCAUGgAwIBAgIUJVEMpwU59Yqi2VwVInWSfOOTaqAwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyNDE5MTQ1NVoYDzIxMjYxMDMx
MTkxNDU1WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAQ88Qutn1wm4YstF5WCWKNZ19QjpDaQ3osAZw77fkrbrr+wK0jKhKX8
LFnWjB+xjNK49YEvezAAm66O2yfs/Cgvo28wbTAdBgNVHQ4EFgQUmyHfwd4a+Guv
4XkDwhFHNV4j4UAwHwYDVR0jBBgwFoAUmyHfwd4a+Guv4XkDwhFHNV4j4UAwDwYD
VR0TAQH/BAUwAwEB/zAaBgNVHREEEzARhwR/AAABgglsb2NhbGhvc3QwCgYIKoZI
zj0EAwIDSAAwRQIgQyxfqFNhDAinuuu0y1uFRJFysnV5tBYn6N9p0J5WHHQCIQCX
yIvZS6Od7nVxvEsgCL1IgzXvNkrlkWIzjDqS5V22xA==
-----END CERTIFICATE-----`,
};
