import { mount } from 'svelte';
import App from './App.svelte';
import './base.css';
import { i18n } from './i18n/index.svelte';
import { session } from './session.svelte';

// The node is on its way while the words are.
void session.open();
void i18n.load().then(() => {
  const target = document.getElementById('app');
  if (target) mount(App, { target });
});
